import type { Requirements } from './requirement.ts'

/** Who is asking (behaviour §2.1–§2.3). */
export const auth: Requirements = {
  'AUT-1': {
    source: 'behaviour §2.1 defect; Anthropic’s and Google’s clients',
    when: 'a token is in Authorization (`Bearer`, `bearer`, `BEARER`), x-api-key, x-goog-api-key or the query',
    observed: 'the headers are read alike; nothing is taken from a URL',
  },
  'AUT-2': {
    source: 'issue 3; field-lessons §2.1 (CVE-2026-45339)',
    when: 'several headers carry a credential',
    observed: 'one, where they are equal; 400 where they differ',
  },
  'AUT-3': { source: 'RFC 9110 §5.3', when: 'two Authorization headers come', observed: '400, also where they say the same' },
  'AUT-4': {
    source: 'behaviour §2.1',
    when: 'another scheme, an empty token, white space or signs beyond ASCII in it',
    observed: '401 `Invalid Authorization header format`',
  },
  'AUT-5': { source: 'issue 3', when: 'a token of a megabyte', observed: 'refused by its length: 431 by the listener, else 401' },
  'AUT-6': {
    source: 'behaviour §2.2; RFC 6750 §3',
    when: 'nothing is shown',
    observed: '401 with Llama Stack’s text for the authenticator and `WWW-Authenticate: Bearer realm="corral"` without an error',
  },
  'AUT-7': {
    source: 'issue 3',
    when: 'malformed credentials come over the wire',
    observed: '400 or 401 with a challenge, one line, never 500',
  },

  'AUT-10': {
    source: 'behaviour §2.2 oauth2_token',
    when: 'a JWT of the issuer is shown',
    observed: 'its `sub` is the principal, its claims the attributes by the default mapping',
  },
  'AUT-11': {
    source: 'behaviour §2.2 (the default differs between the seed and OGX)',
    when: 'no audience is configured',
    observed: 'tokens for `llama-stack` and `ogx` are taken, others are not',
  },
  'AUT-12': {
    source: 'behaviour §2.2; issue 3',
    when: 'expired, not yet valid, wrong audience, issuer, kid or signature, `alg: none`, HS256 signed with the public key, no `sub`, garbage',
    observed: '401 `Invalid JWT token`, the reason in the challenge and the log line, nothing of the token anywhere',
  },
  'AUT-13': {
    source: 'behaviour §2.2 defect (algorithm taken from the token)',
    when: 'a token names its algorithm',
    observed: 'only those of its key’s type, curve and `alg` are accepted',
  },
  'AUT-14': {
    source: 'issue 3',
    when: 'a key set holds symmetric keys, keys for encryption, short or broken ones',
    observed: 'they verify nothing, the others work',
  },
  'AUT-15': { source: 'issue 3', when: 'exp, nbf or iat are off by a little', observed: 'accepted up to the clock tolerance, not beyond' },
  'AUT-16': {
    source: 'behaviour §2.2 (key_recheck_period); issue 3',
    when: 'the issuer’s keys rotate, or tokens name unknown keys',
    observed:
      'the key set is fetched again, at most once per cooldown, once for all waiting requests; a withdrawn key is rejected after the period',
  },
  'AUT-17': {
    source: 'behaviour §2.1 (503), issue 3',
    when: 'the key set is down, slow, redirected, too large or no key set',
    observed: '503 with Retry-After and Llama Stack’s texts; keys at hand are used for a while',
  },
  'AUT-18': { source: 'issue 3', when: 'tokens are changed at random', observed: 'never accepted, never 500' },

  'AUT-20': {
    source: 'behaviour §2.2 introspection; RFC 7662',
    when: 'an opaque token is shown',
    observed: 'the issuer is asked with the secret by Basic or in the form; `sub`, else `username`, is the principal',
  },
  'AUT-21': {
    source: 'behaviour §2.2 introspection',
    when: '`active: false`, no name, or another status than 200',
    observed: '401 `Token not active`, `Token introspection error`, `Token introspection failed: N`',
  },
  'AUT-22': {
    source: 'behaviour §2.1, §15.3; issue 3',
    when: 'the introspection endpoint is down, slow, overloaded, rejects our own credentials or returns 200 with an invalid body',
    observed: '503 with Retry-After, one line for the request, one for the outage',
  },
  'AUT-23': {
    source: 'behaviour §2.2 kubernetes',
    when: 'a token that the cluster knows is shown',
    observed: 'SelfSubjectReview with the caller’s token, 201; user name and groups are the roles',
  },
  'AUT-24': {
    source: 'behaviour §2.2 kubernetes; issue 3',
    when: 'the cluster returns 401, 403, 500, nothing, or an anonymous user',
    observed: '401 `Invalid token`, 401 `Token validation failed: 403`, 503, 503, 401',
  },
  'AUT-25': {
    source: 'behaviour §2.2, §15.4',
    when: 'the identity service has a certificate of another authority',
    observed: '503 unless `tls_cafile` names it, or `verify_tls: false` (with a warning at start)',
  },
  'AUT-26': {
    source: 'behaviour §2.2 github_token',
    when: 'a GitHub token is shown',
    observed: 'login and the organisations of all pages',
  },
  'AUT-27': {
    source: 'behaviour §2.2 github_token',
    when: 'organisations may not be listed, or cannot be',
    observed: 'no teams; 503 where GitHub fails',
  },
  'AUT-28': {
    source: 'behaviour §2.2 github_token (defect: transport errors)',
    when: 'GitHub refuses the token, limits us, fails or returns an invalid response',
    observed: '401 `GitHub token validation failed. …`; 503 for the rest',
  },
  'AUT-29': { source: 'least privilege', when: 'a token is not of GitHub’s form', observed: 'GitHub never sees it' },

  'AUT-31': { source: 'behaviour §2.3', when: 'a mapping names `a.b`', observed: 'the nested claim, else the one of that literal name' },
  'AUT-32': { source: 'behaviour §2.3', when: 'a claim is a list, a text, or something else', observed: 'items, words, nothing' },
  'AUT-33': {
    source: 'behaviour §2.3 defects',
    when: 'several claims go to one attribute',
    observed: 'they add up without repeats, and the claims are not changed',
  },
  'AUT-34': {
    source: 'behaviour §2.2 custom',
    when: 'a key is shown',
    observed: '`{"api_key", "request": {"path", "headers", "params"}}` is posted, `{"principal", "attributes"}` believed',
  },
  'AUT-35': {
    source: 'behaviour §2.2 custom defect (cookies and provider data sent on)',
    when: 'the request has cookies, provider data, other credentials',
    observed: 'the endpoint gets harmless headers, and those that the file names',
  },
  'AUT-36': {
    source: 'behaviour §2.2 custom',
    when: 'the endpoint returns anything else',
    observed: '401 `Authentication failed: N`, 401 `Invalid authentication response format`, 503 for an outage',
  },
  'AUT-37': {
    source: 'field-lessons §2.1 (checks by path)',
    when: 'an endpoint’s verdict depends on the path',
    observed: 'its verdict for one path is not used for another',
  },
  'AUT-38': { source: 'issue 3', when: '`upstream_header` without `server.trusted_proxies`', observed: 'a start error' },
  'AUT-39': {
    source: 'behaviour §2.2 defect (no address check, header forwarded)',
    when: 'the identity header comes from a trusted proxy, or from anybody else',
    observed: 'believed; 401 `Missing required authentication header: …`; not sent to any other',
  },
  'AUT-40': {
    source: 'behaviour §2.2 upstream_header',
    when: 'the attributes header holds JSON, or something else',
    observed: 'scalars become lists; 401 with Llama Stack’s two texts',
  },
  'AUT-41': {
    source: 'behaviour §2.5; issue 3',
    when: 'a route policy demands `user with telemetry.read in scopes`',
    observed: 'the token’s `scope` decides: 200 or 403',
  },

  'AUT-50': {
    source: 'behaviour §2.1 (no caching); field-lessons §2.1 (CVE-2026-35030)',
    when: 'a credential comes again',
    observed: 'looked up once in its TTL or negative TTL, by the hash of the whole of it; a hit costs no promise',
  },
  'AUT-51': {
    source: 'issue 3',
    when: 'many show one credential at the same time, and some leave',
    observed: 'one look-up, which no client disconnect cancels',
  },
  'AUT-52': { source: 'issue 3', when: 'the identity service failed', observed: 'asked again after a second' },
  'AUT-53': {
    source: 'issue 3',
    when: '10,000 unknown keys come at once',
    observed: 'few of them reach the identity service, a few at a time; the rest get 503 or 429 with Retry-After; who is known goes on',
  },

  'AUT-60': {
    source: 'issue 3',
    when: 'API keys of Corral’s own exist',
    observed: 'checked first, and not passed to any other authenticator',
  },
  'AUT-61': {
    source: 'issue 3',
    when: 'several authenticators are configured',
    observed: 'the first that recognises the credential decides; one that cannot be asked decides 503',
  },

  'AUT-70': { source: 'behaviour §2.2', when: 'a file of Llama Stack or OGX is loaded', observed: 'its fields, defaults and switches' },
  'AUT-71': { source: 'issue 3', when: '`provider_config` is a list', observed: 'a chain' },
  'AUT-72': {
    source: 'behaviour §2.2',
    when: 'the section contradicts itself',
    observed: 'a start error with Llama Stack’s words and the place',
  },
  'AUT-73': { source: 'design §3.12', when: 'the configuration is printed', observed: 'no secret of it' },
}
