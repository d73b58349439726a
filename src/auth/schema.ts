import { z } from 'zod'
import { Secret } from '../secret.ts'
import { trustedPeers } from './trusted-peers.ts'

/** A file may come from Llama Stack, whose tokens are for the one, or from OGX, whose are for the other. */
export const defaultAudiences: readonly string[] = ['llama-stack', 'ogx']

const text = z.string().min(1, 'must not be empty')
const url = z.string().regex(/^https?:\/\/[^\s/?#]+[^\s]*$/, 'must be an http:// or https:// URL')
const secret = text.transform((value) => new Secret(value)).meta({ writeOnly: true })
const seconds = z.number().min(0).max(86_400)
const count = z.int().min(1).max(1_000_000)
const flag = z.union([
  z.boolean(),
  z
    .string()
    .regex(/^(true|false)$/i, 'must be true or false')
    .transform((value) => value.toLowerCase() === 'true'),
])
const addressRange = z.string().superRefine((range, context) => {
  try {
    trustedPeers([range])
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
})
const headerName = z.string().regex(/^[!#$%&'*+.^_`|~\w-]+$/, 'must be the name of a header')

const prefix = {
  principal_prefix: z
    .string()
    .max(64)
    .nullish()
    .describe("Prefix of every principal's name, e.g. `github:`, so that names of different authenticators cannot collide."),
}

/** Common to all authenticators that call a service. */
const remote = {
  verify_tls: flag.default(true).describe('false trusts any certificate. For tests only.'),
  tls_cafile: z.string().nullish().describe('PEM file with the certificate authorities to trust instead of the system authorities.'),
  timeout_seconds: z.number().positive().max(120).default(10).describe('For one request to the identity service.'),
  cache_ttl_seconds: seconds
    .default(60)
    .describe('How long a valid credential is cached; a revoked one is refused after that. 0: no caching.'),
  negative_cache_ttl_seconds: seconds.default(10).describe('How long an invalid credential is cached.'),
  cache_max_entries: count.default(10_000).describe('Maximum number of cached valid credentials, and of cached invalid ones.'),
  max_concurrent_lookups: count.default(32).describe('Maximum concurrent requests to the identity service.'),
  max_queued_lookups: z.int().min(0).max(1_000_000).default(1_024).describe('Credentials that may be queued; more are rejected with 503.'),
  max_refusals_per_minute: z
    .int()
    .min(0)
    .max(1_000_000)
    .default(1_000)
    .describe('Invalid credentials per client address and minute that are looked up; more are rejected with 429. 0: no limit.'),
  ...prefix,
}

function mapping(fallback: Readonly<Record<string, string>>) {
  return z
    .record(text, text)
    .default({ ...fallback })
    .describe('Claim → attribute. A claim may be a path with dots. Replaces the default as a whole.')
}

const tenantSource = text.nullish()

const jwks = z.strictObject({
  uri: url.describe("Where the issuer's keys are (a JSON Web Key Set)."),
  token: secret.nullish().describe('A Bearer token for that address.'),
  key_recheck_period: z.number().positive().max(2_000_000).default(3_600).describe('Seconds after which the keys are fetched again.'),
  refetch_cooldown_seconds: z
    .number()
    .min(1)
    .max(3_600)
    .default(10)
    .describe('Seconds between two fetches because of tokens that name a key that is not known.'),
})

const introspection = z.strictObject({
  url: url.describe('The introspection endpoint (RFC 7662).'),
  client_id: text,
  client_secret: secret,
  send_secret_in_body: flag.default(false).describe('Send id and secret in the form; else by HTTP Basic.'),
})

const oauth2Token = z
  .strictObject({
    type: z.literal('oauth2_token'),
    audience: z
      .union([z.string(), z.array(text).min(1)])
      .nullish()
      .describe('Accepted audiences, one or a list. Absent: `llama-stack` or `ogx`; introspection then does not check it.'),
    issuer: z.string().nullish().describe('The required issuer; absent: not checked.'),
    principal_claim: z.string().nullish().describe('The claim that names the principal. Default `sub`; in introspection else `username`.'),
    claims_mapping: mapping({
      sub: 'roles',
      username: 'roles',
      groups: 'teams',
      team: 'teams',
      project: 'projects',
      tenant: 'namespaces',
      namespace: 'namespaces',
      scope: 'scopes',
      scp: 'scopes',
    }),
    tenant_claim: tenantSource.describe('The claim, at the top level, that names the tenant: the attribute `tenants`.'),
    jwks: jwks.nullish(),
    introspection: introspection.nullish(),
    clock_tolerance_seconds: z.number().min(0).max(600).default(30).describe('Allowed clock skew.'),
    require_expiry: flag.default(true).describe('Refuse tokens without `exp`.'),
    ...remote,
  })
  .superRefine(({ jwks: keys, introspection: endpoint }, context) => {
    if (!keys && !endpoint) context.addIssue({ code: 'custom', message: 'One of jwks or introspection must be configured' })
    if (keys && endpoint) context.addIssue({ code: 'custom', message: 'At present only one of jwks or introspection should be configured' })
  })

const kubernetes = z.strictObject({
  type: z.literal('kubernetes'),
  api_server_url: url.default('https://kubernetes.default.svc'),
  claims_mapping: mapping({ username: 'roles', groups: 'roles' }),
  tenant_claim: tenantSource.describe("The claim of the user's info that names the tenant: the attribute `tenants`."),
  ...remote,
})

const githubToken = z.strictObject({
  type: z.literal('github_token'),
  github_api_base_url: url.default('https://api.github.com').describe("GitHub's API; of GitHub Enterprise Server `https://HOST/api/v3`."),
  claims_mapping: mapping({ login: 'roles', organizations: 'teams' }),
  ...remote,
})

const custom = z.strictObject({
  type: z.literal('custom'),
  endpoint: url.describe('Called with POST.'),
  forward_headers: z.array(headerName).default([]).describe('Request headers to forward. Absent: headers that do not identify the caller.'),
  tenant_field: tenantSource.describe('The field of its response that names the tenant: the attribute `tenants`.'),
  ...remote,
})

/** Headers that clients, browsers and proxies set by themselves, and Corral's own: no proxy says in them who is asking. */
const reservedHeaders =
  /^(authorization|authentication-info|host|cookie2?|set-cookie|x-api-key|x-goog-api-key|api-key|connection|keep-alive|te|trailer|transfer-encoding|upgrade|expect|via|date|from|range|origin|referer|dnt|pragma|cache-control|user-agent|forwarded|x-forwarded-(for|host|proto|port|prefix|server)|x-real-ip|traceparent|tracestate|baggage|x-request-id|idempotency-key|proxy-.*|content-.*|accept|accept-.*|sec-.*|access-control-.*|if-.*|openai-.*|anthropic-.*|x-stainless-.*|x-(llamastack|ogx|corral)-.*)$/i

const identityHeader = headerName.refine(
  (name) => !reservedHeaders.test(name),
  'means something else, and callers send it themselves: use a dedicated header for the proxy, such as X-Remote-User',
)

const upstreamHeader = z.strictObject({
  type: z.literal('upstream_header'),
  principal_header: identityHeader.describe('The header in which a trusted proxy names the principal.'),
  attributes_header: identityHeader.nullish().describe('The header with attributes, as a JSON object.'),
  attribute_headers: z
    .record(identityHeader, text)
    .nullish()
    .describe('Header → attribute: further attributes, each a JSON list of texts, or one text.'),
  tenant_header: identityHeader.nullish().describe('The header that names the tenant: the attribute `tenants`.'),
  trusted_proxy_cidrs: z
    .array(addressRange)
    .min(1, 'must name a proxy')
    .nullish()
    .describe('Addresses and ranges of trusted proxies, instead of `server.trusted_proxies`.'),
  ...prefix,
})

const apiKey = z.strictObject({ type: z.literal('api_key').describe("Corral's own keys and nothing else.") })

const localApiKey = z.strictObject({
  type: z.literal('local_api_key').describe('Keys listed in this file, each with the roles `admin` and `owner`.'),
  api_keys: z
    .array(
      z
        .string()
        .regex(/^[\x21-\x7e]+$/, 'must be visible ASCII without spaces: no header can carry it')
        .transform((value) => new Secret(value))
        .meta({ writeOnly: true }),
    )
    .describe('The keys. With an empty list no credential is accepted.'),
})

const kinds = [oauth2Token, kubernetes, githubToken, custom, upstreamHeader, apiKey, localApiKey] as const

/** The types, in the order in which they are documented. */
const authenticatorTypes = kinds.map((kind) => kind.shape.type.value)

/** One `provider_config`. */
export const authenticatorSchema = z.discriminatedUnion('type', kinds, {
  error: () => `must be one of ${authenticatorTypes.join(', ')}`,
})

/** `server.auth.provider_config`: one, or a list of which the first that recognises a credential decides. */
export const authConfigSchema = z.union([authenticatorSchema, z.array(authenticatorSchema).min(1, 'must name an authenticator')])

export type AuthenticatorInput = z.output<typeof authenticatorSchema>
export type AuthConfigInput = z.output<typeof authConfigSchema>
