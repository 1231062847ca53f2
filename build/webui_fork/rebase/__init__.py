"""The series on the next release."""
