"""Sheet music as other programs write it: MusicXML and Humdrum kern."""
