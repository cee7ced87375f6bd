"""The page behind a one-time link: it exchanges the code for a session, here and now, and shows it.

One piece without anything from elsewhere. Its policy names its style and its script by their hashes, so that a browser
runs nothing else, and lets it talk to this server only. The code stands behind `#`, which no browser sends: the script
takes it from there and out of the address at once. Nothing is stored in the browser.
"""

from base64 import b64encode
from hashlib import sha256
from typing import Final

from starlette.requests import Request
from starlette.responses import Response

from hector.web.answers import NO_CACHE, marks

_STYLE: Final = """
:root{color-scheme:light dark;--back:#f6f7f9;--card:#fff;--text:#16202b;--soft:#5b6875;--line:#dfe4ea;--green:#0b8f66;
--red:#c0392b}
@media(prefers-color-scheme:dark){:root{--back:#0e1318;--card:#161d24;--text:#e8edf2;--soft:#93a1af;--line:#2a343e;
--green:#10b981;--red:#ff7b6b}}
*{box-sizing:border-box}
body{margin:0;min-height:100vh;display:grid;place-items:center;padding:1.5rem;background:var(--back);color:var(--text);
font:16px/1.55 system-ui,sans-serif}
main{width:min(34rem,100%);background:var(--card);border:1px solid var(--line);border-radius:14px;padding:2rem}
h1{margin:0 0 .3rem;font-size:1.35rem}
h1::before{content:"";display:inline-block;width:.7rem;height:.7rem;margin-right:.6rem;border-radius:50%;
background:var(--green)}
p{margin:.4rem 0 1.1rem;color:var(--soft)}
form,.row{display:flex;gap:.6rem}
input,output{flex:1;min-width:0;padding:.65rem .8rem;border:1px solid var(--line);border-radius:8px;
background:var(--back);
color:var(--text);font:14px/1.4 ui-monospace,monospace;overflow-wrap:anywhere}
button{padding:.65rem 1.1rem;border:0;border-radius:8px;background:var(--green);color:#fff;font:inherit;font-weight:600;
cursor:pointer;align-self:start}
button:disabled{opacity:.5;cursor:default}
:focus-visible{outline:2px solid var(--green);outline-offset:2px}
code{font:14px ui-monospace,monospace;color:var(--text)}
#said{min-height:1.5rem;margin:1rem 0 0}
#said.bad{color:var(--red)}
[hidden]{display:none!important}
"""
_SCRIPT: Final = """
"use strict";
const at = id => document.getElementById(id);
const form = at("ask"), field = at("code"), button = at("go"), said = at("said");
function say(text, bad) { said.textContent = text; said.className = bad ? "bad" : ""; }
async function unlock(code) {
  button.disabled = true;
  say("Asking the server ...");
  try {
    const answer = await fetch("/admin/unlock", {
      method: "POST", headers: {"content-type": "application/json"}, body: JSON.stringify({code}),
      credentials: "omit", cache: "no-store",
    });
    const found = await answer.json();
    if (!answer.ok) {
      say((found.error && found.error.message) || "The server has refused the code.", true);
      return;
    }
    at("token").textContent = found.access_token;
    const until = new Date(Date.now() + found.expires_in * 1000);
    at("until").textContent = until.toLocaleString();
    form.hidden = true;
    at("intro").hidden = true;
    at("done").hidden = false;
    say("");
    at("copy").focus();
  } catch (_) {
    say("The server cannot be reached.", true);
  } finally {
    button.disabled = false;
  }
}
form.addEventListener("submit", event => {
  event.preventDefault();
  const code = field.value.trim().replace(/^.*#unlock=/, "");
  if (code) unlock(code); else field.focus();
});
at("copy").addEventListener("click", async () => {
  try {
    await navigator.clipboard.writeText(at("token").textContent);
    say("Copied.");
  } catch (_) {
    getSelection().selectAllChildren(at("token"));
    say("Press Ctrl+C to copy it.");
  }
});
function begin() {
  const given = location.hash.match(/^#unlock=(.+)$/);
  if (!given) return;
  history.replaceState(null, "", location.pathname);
  unlock(decodeURIComponent(given[1]));
}
addEventListener("hashchange", begin);
begin();
"""
_PAGE: Final = f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="robots" content="noindex">
<title>Hector</title>
<style>{_STYLE}</style>
</head>
<body>
<main>
<h1>Hector</h1>
<div id="intro"><p>This server is running. Its agents answer programs: see <code>GET /agents</code> and
<code>hector chat</code>.</p>
<p>To administer it, enter the code of a one-time link. <code>hector secret link</code> makes one.</p></div>
<form id="ask"><input id="code" aria-label="Code of a one-time link" placeholder="hu_..." autocomplete="off"
spellcheck="false"><button id="go">Unlock</button></form>
<section id="done" hidden><p>You are in. This session has the rights of the admin secret until
<strong id="until"></strong>. It is shown here only, and gone when you leave the page.</p>
<div class="row"><output id="token"></output><button id="copy" type="button">Copy</button></div>
<p>Send it as <code>Authorization: Bearer ...</code> with requests to <code>/admin</code>;
<code>/openapi.json</code> lists them.</p></section>
<p id="said" role="status" aria-live="polite"></p>
<noscript><p>Without scripts: <code>POST /admin/unlock</code> with <code>{{"code": "..."}}</code>.</p></noscript>
</main>
<script>{_SCRIPT}</script>
</body>
</html>
"""


def _hash(text: str) -> str:
    return f"'sha256-{b64encode(sha256(text.encode()).digest()).decode()}'"


_POLICY: Final = (
    f"default-src 'none'; style-src {_hash(_STYLE)}; script-src {_hash(_SCRIPT)}; connect-src 'self'; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
).encode()
_CSP: Final = b"content-security-policy"


def page(request: Request) -> Response:
    """The page, with its own policy in place of that of all other answers."""
    response = Response(_PAGE, media_type="text/html")
    others = [(name, value) for name, value in marks(request.scope) if name != _CSP]
    response.raw_headers += [*others, (_CSP, _POLICY), (b"vary", b"accept"), *NO_CACHE]
    return response
