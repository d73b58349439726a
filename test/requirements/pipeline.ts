import type { Requirements } from './requirement.ts'

/** What a request passes before its route (behaviour §1, §5). */
export const pipeline: Requirements = {
  'PIP-1': {
    source: 'behaviour §1.1 defect',
    when: 'a request would be refused by several layers',
    observed:
      'CORS before body before credential (401) before policy (403) before quota (429) before client version (426) before route (404)',
  },
  'PIP-2': {
    source: 'behaviour §1.1 defect',
    when: 'a browser’s request fails in any layer: 401, 403, 404, 405, 413, 415, 426, 429, 500, 503',
    observed: 'the response has CORS headers and a request id',
  },
  'PIP-3': { source: 'behaviour §1.1', when: 'a preflight comes without a credential', observed: 'it succeeds, and counts nowhere' },
  'PIP-4': {
    source: 'behaviour §1.1 defect',
    when: 'several users share an address, or one has several',
    observed: 'each is counted by who it is, and a 401 counts against no authenticated caller',
  },
  'PIP-5': {
    source: 'behaviour §1.11',
    when: 'a request has no credential',
    observed: '/v1/health, /v1/version and /readyz succeed (HEAD and aliases too), everything else is 401, unknown paths included',
  },
  'PIP-6': {
    source: 'behaviour §1.11',
    when: 'the reference page and /openapi.json are read without a credential',
    observed: '401 unless server.auth.docs_public',
  },
  'PIP-7': {
    source: 'behaviour §2.4',
    when: 'a route policy does not permit a route, with or without authentication',
    observed: '403 with Llama Stack’s text; /v1/health too',
  },
  'PIP-8': {
    source: 'behaviour §13',
    when: 'a route that a policy speaks of is asked by its older path',
    observed: 'the first rule that matches either name decides',
  },
  'PIP-9': { source: 'issue', when: 'a key is not made for an API', observed: '403 that names the API' },
  'PIP-10': {
    source: 'behaviour §1.5',
    when: 'a client says a version of another major.minor',
    observed: '426 with Llama Stack’s text; none or an invalid one passes; off by default and by LLAMA_STACK_DISABLE_VERSION_CHECK',
  },
  'PIP-11': {
    source: 'behaviour §1.6 gap',
    when: '`server.cors: true`',
    observed: 'localhost, 127.0.0.1 and [::1] may send provider data, versions and keys, and read request id, limits and retry-after',
  },
  'PIP-12': {
    source: 'behaviour §1.8',
    when: 'a body comes in zstd, gzip or deflate',
    observed: 'it is read; inflated above the limit it is 413, damaged it is 400, in any other coding 415',
  },
  'PIP-13': {
    source: 'behaviour §3 defect h',
    when: '`x-forwarded-for` or `forwarded` names an address',
    observed: 'it counts from configured trusted proxies only, and never as far as the caller could have written it',
  },
  'PIP-14': {
    source: 'behaviour §5 defect',
    when: 'a caller sends `__authenticated_user` in its provider data',
    observed: 'it is not who it says, with authentication and without',
  },
  'PIP-15': {
    source: 'issue',
    when: 'a request is refused by any layer',
    observed: 'one access line with who refused and why, and one line of the audit log',
  },
  'PIP-16': {
    source: 'design §5',
    when: 'what authentication needs is out of reach',
    observed: '503 with Retry-After, and /readyz says what is not ready',
  },
}
