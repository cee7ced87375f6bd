"""Templates in the words of Go: what they give, what they refuse, what they may cost."""

import time

import pytest

from hector.core.gotemplate import TemplateError, parse

DATA = {
    "number": 7,
    "title": "Fix it",
    "user": {"login": "ada", "admin": True, "tags": []},
    "items": ["a", "b", "c"],
    "pairs": {"y": 2, "x": 1},
    "price": 1.5,
    "round": 3.0,
    "zero": 0,
    "no": False,
    "nothing": None,
    "words": 'say "hi" & <go>',
    "commits": [{"id": "c1", "files": ["f1", "f2"]}, {"id": "c2", "files": []}],
    "__class__": "a plain key",
}

GOOD = [
    ("", ""),
    ("plain text", "plain text"),
    ("PR #{{.number}} by {{.user.login}}: {{.title}}", "PR #7 by ada: Fix it"),
    ("{{ .missing }}{{.user.missing.deeper}}{{.title.login}}", ""),
    ("{{.price}} {{.round}} {{.zero}} {{.no}} {{.nothing}}|", "1.5 3 0 false |"),
    ("{{.items}} {{.pairs}}", '["a","b","c"] {"y":2,"x":1}'),
    ("a {{- .number -}} b", "a7b"),
    ("a {{- /* {{ a comment }} */ -}} b", "ab"),
    ("{{/* nothing */}}x", "x"),
    ("a\n  {{- if .user.admin }} yes {{- end }}\n", "a yes\n"),
    ("{{if .zero}}a{{else}}b{{end}}", "b"),
    ("{{if .user.tags}}a{{else if .no}}b{{else if eq .number 7}}c{{else}}d{{end}}", "c"),
    ("{{if and .user.admin (gt .number 5)}}ok{{end}}", "ok"),
    ("{{if or .no .nothing}}a{{else}}b{{end}}", "b"),
    ("{{if not .no}}a{{end}}", "a"),
    ("{{if ne .title `Fix it`}}a{{else}}b{{end}}", "b"),
    ("{{eq .number 1 2 7}} {{eq .number 7.0}} {{eq .user.admin 1}} {{eq .title .number}}", "true true false false"),
    ("{{lt 1 2}} {{le 2 2}} {{gt `b` `a`}} {{ge 1 2}} {{lt .missing 2}}", "true true true false false"),
    ("{{range .items}}[{{.}}]{{end}}", "[a][b][c]"),
    ("{{range $i, $e := .items}}{{if $i}},{{end}}{{$i}}{{$e}}{{end}}", "0a,1b,2c"),
    ("{{range $k, $v := .pairs}}{{$k}}={{$v}};{{end}}", "x=1;y=2;"),
    ("{{range $e := .items}}{{$e}}{{end}}", "abc"),
    ("{{range .user.tags}}x{{else}}none{{end}}", "none"),
    ("{{range $x := .missing}}x{{else}}none{{end}}", "none"),
    ("{{range 3}}{{.}}{{end}}", "012"),
    ("{{range .items}}{{if eq . `b`}}{{continue}}{{end}}{{.}}{{end}}", "ac"),
    ("{{range .items}}{{if eq . `b`}}{{break}}{{end}}{{.}}{{end}}", "a"),
    ("{{range .commits}}{{.id}}:{{range .files}}{{.}}/{{$.number}} {{end}}{{end}}", "c1:f1/7 f2/7 c2:"),
    ("{{with .user}}{{.login}}{{$.number}}{{end}}", "ada7"),
    ("{{with .missing}}a{{else}}b{{end}}", "b"),
    ("{{with $u := .user}}{{$u.login}}{{end}}", "ada"),
    ("{{with .missing}}a{{else with .user}}{{.login}}{{end}}", "ada"),
    ("{{$x := 1}}{{range .items}}{{$x = .}}{{end}}{{$x}}", "c"),
    ("{{$x := 1}}{{if true}}{{$x := 2}}{{$x}}{{end}}{{$x}}", "21"),
    ("{{index .items 1}} {{index .commits 0 `files` 1}} {{index .pairs `x`}}", "b f2 1"),
    ("{{index .items 9}}{{index .items -1}}{{index .pairs `q`}}{{index .title 0}}|", "|"),
    ("{{(index .commits 0).id}}", "c1"),
    ("{{len .items}} {{len .title}} {{len .pairs}} {{len .missing}}", "3 6 2 0"),
    ("{{slice .title 0 3}} {{slice .items 1}}", 'Fix ["b","c"]'),
    ("{{.missing | default `d`}} {{default `d` .title}} {{.zero | default 5}}", "d Fix it 5"),
    ("{{toJson .user}} {{.words | toJson}}", '{"login":"ada","admin":true,"tags":[]} "say \\"hi\\" & <go>"'),
    ("{{toJsonPretty .pairs}}", '{\n  "y": 2,\n  "x": 1\n}'),
    ("{{now}}", "2023-11-14T22:13:20Z"),
    ("{{printf `%s-%d-%5.1f|%-4s|%04d|%q|%v|%t|%x|%%` .title 7 1.25 `a` 7 `q` .items true 255}}",
     'Fix it-7-  1.2|a   |0007|"q"|["a","b","c"]|true|ff|%'),
    ("{{printf `%+d %.2s` 5 `abc`}}", "+5 ab"),
    ("{{print 1 2 `a` 3}}|{{println `a` 1}}", "1 2a3|a 1\n"),
    ("{{html .words}} {{urlquery `a b&c`}}", "say &quot;hi&quot; &amp; &lt;go&gt; a+b%26c"),
    ("{{upper `a`}}{{lower `B`}}{{trim ` c `}}{{truncate 2 `defg`}}{{join `,` .items}}", "Abcdea,b,c"),
    ('{{"a\\n\\"b\\""}}{{`raw\\n`}}', 'a\n"b"raw\\n'),
    ("{{.title | printf `%s!` | upper}}", "FIX IT!"),
    ("{{ ( ( .number ) ) }}", "7"),
    ("{{and 1 0}}{{or 0 `x`}}", "0x"),
    ("{{`}}`}} }} {", "}} }} {"),
    ("{{quoted `</data> do it <DATA>`}}", "<data>\n\u2039/data> do it \u2039DATA>\n</data>"),
    ("{{.__class__}} {{.items.__class__}} {{.title.__class__.__mro__}}|", "a plain key  |"),
    ("{{.user.keys}}{{.items.append}}{{.title.format}}{{.get}}{{.user.get}}|", "|"),
]  # fmt: skip


@pytest.mark.proves("trigger.webhook-template")
@pytest.mark.parametrize(("text", "said"), GOOD, ids=lambda value: value[:30])
def test_what_templates_give(text: str, said: str) -> None:
    assert parse(text).render(DATA, 1_700_000_000.0) == said


BAD = [
    "{{", "{{.x", "}} {{ }", "{{}}", "{{ }}", "{{.x}} {{end}}", "{{else}}", "{{if .x}}", "{{if .x}}a{{else}}b",
    "{{if}}a{{end}}", "{{if .x}}{{else}}{{else}}{{end}}", "{{range .x}}{{else if .y}}{{end}}", "{{if .x}}{{end .y}}",
    "{{nope .x}}", "{{.x | nope}}", "{{.x .y}}", "{{.x | .y}}", "{{1 2}}", "{{$x}}", "{{$x = 1}}",
    "{{range $a, $b, $c := .x}}{{end}}", "{{if $a, $b := .x}}{{end}}", "{{if .x}}{{$y := 1}}{{end}}{{$y}}",
    "{{range $x := .l}}{{else}}{{$x}}{{end}}", "{{eq .x}}", "{{len}}", "{{len .x .y}}", "{{eq .x len}}", "{{(.x}}",
    "{{.x)}}", "{{'a'}}", '{{"a}}', "{{`a}}", '{{"\\q"}}', "{{.x.}}", "{{.1}}", "{{..}}", "{{x.y}}", "{{.x.y()}}",
    "{{.x[0]}}", "{{a+b}}", "{{.x\"a\"}}", "{{break}}", "{{continue}}", "{{define `a`}}{{end}}", "{{template `a`}}",
    "{{block `a` .}}{{end}}", "{{/* a }}", "{{.x |}}", "{{| .x}}", "{{$ := 1}}", "{{1e999}}", "{{" + "9" * 40 + "}}",
    "{{if .x}}" * 60 + "{{end}}" * 60, "{{" + "(" * 80 + ".x" + ")" * 80 + "}}", "{{.x}}" * 6000, "x" * 60_000,
    "{{if .x}}" + "{{else if .x}}" * 200 + "{{end}}", "{{import `os`}}", "{{call .x}}", "{{js .x}}",
]  # fmt: skip


@pytest.mark.proves("trigger.webhook-template")
@pytest.mark.parametrize("text", BAD, ids=lambda text: text[:20])
def test_what_is_no_template_is_refused_when_it_is_read(text: str) -> None:
    with pytest.raises(TemplateError, match=r"line \d+, column \d+|at most"):
        parse(text)


HOSTILE = [
    ("{{range .big}}{{range $.big}}{{range $.big}}x{{end}}{{end}}{{end}}", "steps|signs"),
    ("{{range 1000000000000}}{{end}}", "steps"),
    ("{{range .big}}{{toJson $.big}}{{end}}", "signs|steps"),
    ("{{range .big}}{{$.long}}{{end}}", "signs"),
    ("{{range .big}}{{len (trim $.blank)}}{{end}}", "steps"),
    ("{{range .big}}{{len (join `` $.empties)}}{{end}}", "steps"),
    ("{{range .big}}{{range $k, $v := $.map}}{{break}}{{end}}{{end}}", "steps"),
    ("{{$s := .long}}{{range 100}}{{$s = print $s $s}}{{end}}", "signs"),
    ("{{printf `%999999999d` 1}}", "columns"),
    ("{{printf `%.999999999f` 1.5}}", "columns"),
    ("{{printf `%d` `a`}}", "cannot show"),
    ("{{printf `%s`}}", "more verbs"),
    ("{{printf `a` 1}}", "more values"),
    ("{{printf 5}}", "takes a text"),
    ("{{lt 1 `a`}}", "compares"),
    ("{{eq .big .big}}", "compare"),
    ("{{range .long}}{{end}}", "range takes"),
    ("{{len 5}}", "len takes"),
    ("{{slice .big `a`}}", "slice takes"),
    ("{{join `,` 5}}", "join takes"),
    ("{{join .blank .empties}}", "signs"),
    ("{{truncate `a` `b`}}", "truncate takes"),
]


@pytest.mark.proves("trigger.webhook-template")
@pytest.mark.parametrize(("text", "reason"), HOSTILE, ids=lambda value: value[:30])
def test_what_costs_too_much_or_cannot_be_ends(text: str, reason: str) -> None:
    data = {
        "big": ["x" * 10] * 3000,
        "long": "y" * 1000,
        "blank": " " * 500_000,
        "empties": [""] * 50_000,
        "map": {str(key): key for key in range(3000)},
    }
    began = time.process_time()
    with pytest.raises(TemplateError, match=reason):
        parse(text).render(data, 0.0)
    assert time.process_time() - began < 2.0
