"""Words of each format, from the ordinary to the absurd, which mutations put in."""

from __future__ import annotations


def words(text: str) -> tuple[bytes, ...]:
    """Words of a format, parted by spaces; _ stands for a space, ~ for an end of line."""
    return tuple(w.replace("_", " ").replace("~", "\n").encode() for w in text.split())


MIDI_WORDS = (
    *(b"MThd", b"MTrk", b"\x00\xff\x2f\x00", b"\x00\xff\x51\x03\x00\x00\x00"),
    *(
        b"\x00\xff\x51\x00",
        b"\x00\xff\x58\x04\x00\x00\x18\x08",
        b"\x00\xff\x58\x04\xff\xff\x18\x08",
    ),
    *(b"\x00\xff\x59\x02\x80\x07", b"\x00\x90\x3c\x50", b"\x83\x60\x80\x3c\x00", b"\x00\xf0\x7f"),
    *(b"\xff\xff\xff\x7f", b"\x00\x99\x24\x50", b"\x00\xf7\x00", b"\x00\xff\x03\x7f", b"\xe7\x28"),
)
XML_WORDS = words(
    """
    <note/> <note> </note> <chord/> <grace/> <rest/> <rest_measure="yes"/>
    <duration>0</duration> <duration>-1</duration> <duration>nan</duration>
    <divisions>0</divisions> </measure> <measure> <measure_number="1">
    <backup><duration>99</duration></backup> <forward><duration>9999999</duration></forward>
    <tie_type="start"/> <time><beats>3+2</beats><beat-type>8</beat-type></time>
    <time><senza-misura/></time> <transpose><chromatic>1e9</chromatic></transpose>
    <key><fifths>99</fifths></key> <key><key-step>C</key-step><key-alter>9</key-alter></key>
    <alter>1e9</alter> <alter>0.5</alter> <octave>99</octave> <step>H</step> <voice>2</voice>
    <repeat_direction="backward"_times="99"/> <ending_number="1"_type="start"/>
    <time-modification><actual-notes>3</actual-notes><normal-notes>0</normal-notes></time-modification>
    <unpitched/> <dot/> <type>maxima</type> <harmony/> <sound_tempo="0"/> <![CDATA[ ]]> <!--
    --> <?xml <!DOC &#0; &lt; &x; <score-timewise> <direction><direction-type><metronome/>
    <staves>9</staves> <beats>2+2+2+3</beats> <beats>99</beats><beat-type>64</beat-type>
    """
)
ABC_WORDS = words(
    """
    ~M:2+2+2+3/8~ [M:1+1+1+1/4] ~M:(2+3)/8~ ~r:_M:97/1~ ~K:C__________________bass~ M: 2+
    ~X:1~ ~K:C~ ~M:4/4~ ~M:none~ ~L:1/4~ ~L:0/1~ ~L:1/0~ ~Q:1/4=0~ ~Q:"x"~ ~V:1~
    ~V:2_clef=bass~ [V:3] [M:3/4] [L:1/32] [K:F#m] (3 (9:9:9 (0:0:0 (3:2:99 (5 > < >>>>
    ////// /99999 99999/99999 C c ^^c __B, =d z Z Z99 x {gf} [CEG] [CE]2 - |: :| :: |] [1 [2
    |1 |2-5 !trill! +fermata+ "Am" & y9 ' , '''''''' ,,,,,, ~m:*n=z~ ~U:T=!trill!~ ~P:ABAB~
    ~I:x~ ~w:la~ %%abc ~K:none~ ~K:Hp~ ~K:C_exp_^f_^c~ ~K:^~ ~K:C_clef=alto_transpose=-99~ 0
    00 1/0 /0 ( ) | * \\ ` $ ~
    """
)
KERN_WORDS = tuple(
    word.encode()
    for word in (
        *("**kern", "**text", "*^", "*v", "*x", "*+", "*-", "\t", "\n", "*\t*\n", "*^\t*\n"),
        *("*v\t*v\n", "*-\t*-\n", "*x\t*x\n", "**kern\n", "!!!OTL: x\n", "!", "=1\t=1\n", "=\n"),
        *(
            "=:|!|:",
            "==",
            "=99999",
            "*M3/4",
            "*M0/0",
            "*M99/128",
            "*M2+3/8",
            "*MX",
            "*MM0",
            "*MM60",
        ),
        *(
            "*k[f#]",
            "*k[b-e-]",
            "*k[",
            "*G:",
            "*a:dor",
            "*cue",
            "*Xcue",
            "*>A",
            "*>1",
            "*>2",
            "*>[",
        ),
        *(
            "*>[A,B]",
            "*>norep[A]",
            '*I"',
            "4c",
            "4c#",
            "8.d--",
            "[2e",
            "2e]",
            "2e_",
            "4r",
            ".",
            "0c",
        ),
        *("000c", "0000c", "3%2c", "1%9999c", "9999c", "4....c", "q", "Q", "8qc", "4c 4e", "4c 8e"),
        *("c", "4", "CCCCCC", "gggggg", "4h", "\r", "\t\t", " ", "4c;", "(4c", "{4c", "4c4d"),
    )
)
TOML_WORDS = words(
    """
    [reward] [[reward]] [task] [a.b] seed_=_ = _ " ' \'\'\' { } [ ] , ~ # 1e999 nan inf -inf 0x7
    true false 1979-05-27 9999999999999999999999 0.0 -1 c_=_0.0~ algo_=_"ppo"~
    kl_budget_=_1.0~ weight_=_ bars_=_8 given_=_ prior_=_ in_key_=_1~ \\u0000 \\ud800
    \\U00110000 . key.x_=_1~
    """
)
SAFETENSORS_WORDS = words(
    """
    "dtype":"F32" "dtype":"F64" "dtype":"I64" "dtype":"BOOL" "dtype":"F8_E4M3" "shape":[0]
    "shape":[] "shape":[2,2] "data_offsets":[0,0] "data_offsets":[8,4] __metadata__
    composition-gym net. lstm. head.bias { } [ ] : , " \\" NaN Infinity 1e999 -1 null true
    \\"hidden\\":_ \\"vocab\\":_ \\"layers\\":_ \\"format\\": 99999999999999999999 16
    """
)
LINE_WORDS = {
    "key": words("C F# Bb ♯ ♭ major minor dorian blues 0,2 0,11 , _ 12 ٣ ² ß İ natural"),
    "meter": words("4 8 16 0 1 99 / + 3+2+2 _ ٣ ² - ."),
    "range": words("C4 - -1 G9 F## bb ♯ 60 _ ٣ 999999999 h"),
    "chords": words(
        "| _ I IV V7 viio i bVII C Dm7 G7/B sus4 add9 #11 Cmaj7 /F It6 Ger N7 [no3] 64 ø"
    ),
    "phrases": words("A B ' '' + 4 16 0 _ A4 ٣ é a4 B8"),
    "notes": words("C4 : :2 r R ; :999999 _ G9 C-1 F## ~ ٣ :٣ 99999999"),
    "term": words(
        "= , name= =1 ,x=1 [1] {a=1} \" ' # ~ nan 1e999 [[[[ :1-2,5 .abc: ٣ 9-1 | bars=4|8"
    ),
}
ZIP_WORDS = (b"PK\x03\x04", b"PK\x01\x02", b"PK\x05\x06")
