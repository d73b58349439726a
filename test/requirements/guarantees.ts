import type { Requirements } from './requirement.ts'

/** Guarantees about what is durable, and about input that is refused rather than guessed at. */
export const guarantees: Requirements = {
  'GUA-1': {
    source: 'field report; docs/audit-log.md',
    when: 'a key or a model is created, changed or deleted, over HTTP or on the command line',
    observed: 'success is reported after the audit log entry is synced to disk; when it cannot be written, the response is 503',
  },
  'GUA-2': {
    source: 'field report; docs/quotas.md',
    when: 'lines of the ledger come at any rate, while writes take their time and timers are called late',
    observed: 'the write of each line begins at most one second after it was made, or with the end of the write under way',
  },
  'GUA-3': {
    source: 'RFC 9112 §3.2, §3.2.2; docs/deployment.md',
    when: 'a request has more than one Host header, an invalid one, or an absolute-form target with another authority',
    observed: '400 for the headers, on every address; the authority is checked like Host where the HTTP server passes it on',
  },
  'GUA-4': {
    source: 'RFC 7515 §2; RFC 4648 §3.5; docs/authentication.md',
    when: 'a JWT spells its signature with padding, another alphabet or unused bits that are not zero',
    observed: '401; one token has one spelling',
  },
  'GUA-5': {
    source: 'RFC 7519 §4.1.4; RFC 7662 §2.2; docs/authentication.md',
    when: 'the exp of a token or of an introspection response is not a finite number',
    observed: '401 for a JWT, 503 for an introspection response, never a token that does not expire',
  },
  'GUA-6': {
    source: 'field report; docs/models.md',
    when: 'a provider-data header, in any of its spellings, is not a JSON object',
    observed: '400 that names the header and does not repeat its value; nothing is sent with the operator’s key',
  },
  'GUA-7': {
    source: 'field report; docs/models.md',
    when: 'a caller names a passthrough_url and the provider has a base_url in the configuration',
    observed: '400 that names the field, and nothing is sent',
  },
  'GUA-8': {
    source: 'field report; docs/requests-and-streams.md',
    when: 'an image URL of a chat request, in OpenAI’s form or as a string, is neither http(s) nor data',
    observed: '400 that names its path, and nothing is sent; http(s) and data URLs pass to providers that fetch for themselves as they are',
  },
  'GUA-9': {
    source: 'field report; docs/requests-and-streams.md',
    when: 'server.egress.deny names the host of a URL that a caller brings, whether this server or a provider would fetch it',
    observed: '400 (url_not_allowed), logged and audited as a denial by egress; deny goes before allow',
  },
  'GUA-10': {
    source: 'behaviour §17.2; RFC 6797; docs/configuration.md',
    when: 'the configuration has tls_config, hsts_max_age, insecure or tenancy of OGX 1.3 and later',
    observed:
      'ciphers and Strict-Transport-Security are served over TLS; settings that ask for nothing are no warning; what is not understood is an error',
  },
  'GUA-11': {
    source: 'behaviour §17.2, §17.6; docs/authentication.md',
    when: 'auth type local_api_key is configured',
    observed: 'its keys are recognised, each as a principal of its own with the roles admin and owner; no key is ever printed',
  },
  'GUA-12': {
    source: 'behaviour §17.2; docs/authentication.md',
    when: 'tenant_claim, tenant_field or tenant_header names a tenant, and server.tenancy has a mode',
    observed:
      'the tenant is the attribute `tenants`; single gives every caller one, multi refuses callers without one and hides what other tenants own',
  },
  'GUA-13': {
    source: 'behaviour §17.2; docs/authentication.md',
    when: 'upstream_header has trusted_proxy_cidrs or attribute_headers',
    observed: 'only those proxies are believed, and the headers become attributes; ambiguous values are a 401',
  },
}
