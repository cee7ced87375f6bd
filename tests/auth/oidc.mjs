// A real identity provider (oidc-provider) on loopback for the tests: client credentials, and authorization code with PKCE.
// Usage: node oidc.mjs FOLDER, where FOLDER has node_modules. Prints its issuer once it answers.
import { createRequire } from "node:module";
import { createServer } from "node:http";
import { pathToFileURL } from "node:url";

const require = createRequire(`${process.argv[2]}/package.json`);
const { default: Provider } = await import(pathToFileURL(require.resolve("oidc-provider")).href);

const server = createServer();
await new Promise((done) => server.listen(0, "127.0.0.1", done));
const issuer = `http://127.0.0.1:${server.address().port}`;
const API = "urn:hector:tests";
const CALLBACK = "http://127.0.0.1:1/callback";

const provider = new Provider(issuer, {
  clients: [
    {
      client_id: "robot",
      client_secret: "the-secret-of-the-robot",
      grant_types: ["client_credentials"],
      redirect_uris: [],
      response_types: [],
    },
    { client_id: "browser", token_endpoint_auth_method: "none", application_type: "native", redirect_uris: [CALLBACK] },
  ],
  pkce: { required: () => true },
  features: {
    clientCredentials: { enabled: true },
    devInteractions: { enabled: true },
    resourceIndicators: {
      enabled: true,
      defaultResource: () => API,
      useGrantedResource: () => true,
      getResourceServerInfo: (ctx, resource) => ({
        scope: "agents",
        audience: resource,
        accessTokenFormat: "jwt",
        accessTokenTTL: 300,
        jwt: { sign: { alg: "RS256" } },
      }),
    },
  },
  extraTokenClaims: (ctx, token) => (token.clientId === "robot" ? { role: "operator" } : { role: "user" }),
  findAccount: (ctx, id) => ({ accountId: id, claims: () => ({ sub: id }) }),
});
server.on("request", provider.callback());
console.log(issuer);
