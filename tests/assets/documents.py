"""Write a document of each kind, run in the image with its own libraries; prints them as JSON, base64 by name."""

import base64
import io
import json
import sys

import docx
import openpyxl
import pptx


def pdf(text):
    stream = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET".encode()
    objects = [
        b"<< /Type /Catalog /Pages 2 0 R >>",
        b"<< /Type /Pages /Kids [3 0 R] /Count 1 /MediaBox [0 0 612 792] >>",
        b"<< /Type /Page /Parent 2 0 R /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        b"<< /Length %d >>\nstream\n%s\nendstream" % (len(stream), stream),
        b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
    ]
    out, places = b"%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(out))
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    head = b"xref\n0 6\n0000000000 65535 f \n"
    return out + head + table + b"trailer\n<< /Size 6 /Root 1 0 R >>\nstartxref\n%d\n%%%%EOF\n" % len(out)


def word(text):
    document, out = docx.Document(), io.BytesIO()
    document.add_paragraph(text)
    document.save(out)
    return out.getvalue()


def slides(text):
    show, out = pptx.Presentation(), io.BytesIO()
    show.slides.add_slide(show.slide_layouts[5]).shapes.title.text = text
    show.save(out)
    return out.getvalue()


def sheet(text):
    book, out = openpyxl.Workbook(), io.BytesIO()
    for row in (["number", "note"], [1, text], [2, "Closed on Mondays."], [3, "Open on Sundays."]):
        book.active.append(row)
    book.save(out)
    return out.getvalue()


KINDS = {
    "txt": str.encode,
    "md": lambda text: f"# Note\n\n{text}\n".encode(),
    "pdf": pdf,
    "docx": word,
    "pptx": slides,
    "xlsx": sheet,
    "csv": lambda text: f"note\n{text}\n".encode(),
    "html": lambda text: f"<html><body><p>{text}</p></body></html>".encode(),
}
texts = json.loads(sys.argv[1])
print(json.dumps({kind: base64.b64encode(KINDS[kind](text)).decode() for kind, text in texts.items()}))
