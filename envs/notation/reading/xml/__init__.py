"""MusicXML: the document, its measures, and parts of it."""
