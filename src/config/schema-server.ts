import { z } from 'zod'
import { LinearRegex } from '../text/linear-regex.ts'
import { tenantPattern } from '../auth/tenant.ts'
import { trustedPeers } from '../auth/trusted-peers.ts'
import { egressSchema } from '../egress/schema.ts'
import { quotaSchema } from '../quota/schema.ts'
import { authSectionSchema } from './schema-auth.ts'

/** Compared as browsers send it: scheme, host and port that is not the scheme's own, and nothing after that. */
const origin = z.string().superRefine((text, context) => {
  if (text === '*' || text === 'null') return
  const complain = (message: string) => context.addIssue({ code: 'custom', message })
  if (text.includes('*'))
    return complain("'*' must be the whole value and matches every origin: to match some origins, use allow_origin_regex")
  if (!/^[a-z][a-z0-9+.-]*:\/\/./i.test(text)) return complain("must be an origin such as https://app.example.com, 'null' or '*'")
  const { origin: plain, protocol, host } = URL.canParse(text) ? new URL(text) : { origin: '', protocol: '', host: '' }
  const sent = plain === 'null' && host !== '' ? `${protocol}//${host}` : plain
  if (sent === text) return
  complain(sent === '' ? 'is not an origin' : `can match no browser's origin: write ${sent}`)
})

/** `server.cors` as an object: Llama Stack's keys and defaults (behaviour: "CORS"). */
export const corsSchema = z
  .strictObject({
    allow_origins: z.array(origin).default([]).describe('Origins that may read responses, e.g. `https://app.example.com`; `*` for all.'),
    allow_origin_regex: z.string().nullish().describe('A regular expression that the whole origin must match.'),
    allow_methods: z.array(z.string()).default(['OPTIONS']),
    allow_headers: z.array(z.string()).default([]),
    allow_credentials: z.boolean().default(false).describe('Cannot stand together with the origin `*`.'),
    expose_headers: z.array(z.string()).default([]),
    max_age: z.int().min(0).default(600).describe('Seconds for which a browser may cache a preflight response.'),
  })
  .superRefine((cors, context) => {
    if (cors.allow_credentials && cors.allow_origins.includes('*')) {
      context.addIssue({ code: 'custom', path: ['allow_credentials'], message: 'Cannot use wildcard origins with credentials enabled' })
    }
    const complaint = cors.allow_origin_regex && complaintAbout(cors.allow_origin_regex)
    if (complaint) {
      context.addIssue({ code: 'custom', path: ['allow_origin_regex'], message: `invalid regular expression: ${complaint}` })
    }
  })

/** What is wrong with a regular expression; undefined: nothing. */
function complaintAbout(expression: string): string | undefined {
  try {
    return new LinearRegex(expression).source === expression ? undefined : 'it cannot be read'
  } catch (error) {
    return (error as Error).message
  }
}

/** One proxy, or a range of them. */
const addressRange = z.string().superRefine((text, context) => {
  try {
    trustedPeers([text])
  } catch (error) {
    context.addIssue({ code: 'custom', message: (error as Error).message })
  }
})

/** `server.tenancy`. */
const tenancySchema = z.strictObject({
  mode: z
    .enum(['disabled', 'single', 'multi'])
    .default('disabled')
    .describe('`single`: every caller is of `default_tenant_id`; `multi`: every caller must have a tenant.'),
  default_tenant_id: z
    .string()
    .transform((id) => id.toLowerCase())
    .refine((id) => tenantPattern.test(id), 'must be 1 to 128 letters, digits, dashes and underscores, and begin with a letter or digit')
    .nullish()
    .describe('The tenant of every caller in the mode `single`.'),
})

/** `server.audit` as an object. */
export const auditSchema = z.strictObject({
  folder: z.string().nullish().describe("Where its files lie. Absent: `audit` in Corral's home."),
  keep_days: z.int().min(1).nullish().describe('Files last written to before so many days are removed. Absent: none are.'),
  max_file_bytes: z.int().min(65_536).default(33_554_432).describe('After so many bytes a chain continues in another file.'),
})

const port = z
  .int()
  .min(0, 'must be a port: 1 to 65535, or 0 for a free one')
  .max(65_535, 'must be a port: 1 to 65535, or 0 for a free one')

/** Seconds, longer than none and no longer than a timer can run. */
const seconds = z.number().positive('must be more than 0 seconds').max(2_000_000, 'must be at most 2000000 seconds')

/** The `server:` section. */
export const serverSchema = z.strictObject({
  port: port.default(8321).describe('The port to listen on; 0 takes a free one. A flag or CORRAL_PORT counts more.'),
  host: z
    .string()
    .nullish()
    .describe('The address to listen on. Absent: loopback only. Any other needs `auth.provider_config`, or `allow_unauthenticated: true`.'),
  allowed_hosts: z
    .array(z.string())
    .nullish()
    .describe('Further names by which callers reach this server; a loopback server refuses other `Host` headers.'),
  allow_unauthenticated: z
    .boolean()
    .default(false)
    .describe('Serve everybody on an address that others can reach; `auth.provider_config` is the way to let in only some.'),
  insecure: z.boolean().nullish().describe('OGX only; no effect here: without `tls_certfile` this server speaks plain HTTP.'),
  workers: z.int().min(1).max(256).default(1).describe('Processes that share the port (Linux; elsewhere one).'),
  tls_certfile: z.string().nullish().describe('PEM file with the certificate and its chain; needs `tls_keyfile`.'),
  tls_keyfile: z.string().nullish().describe('PEM file with the private key; needs `tls_certfile`.'),
  tls_cafile: z.string().nullish().describe('PEM file with the authorities that clients must show a certificate of (mutual TLS).'),
  tls_config: z
    .strictObject({
      ciphers: z
        .array(z.string())
        .nullish()
        .describe("The cipher suites of TLS 1.2 to offer, by OpenSSL's names. Absent: the runtime's. Those of TLS 1.3 are always offered."),
    })
    .nullish()
    .describe('How HTTPS is spoken.'),
  hsts_max_age: z
    .int()
    .min(0)
    .nullish()
    .describe(
      'Seconds of `Strict-Transport-Security` (with `includeSubDomains`), sent over TLS only. Absent or 0: the header is not sent.',
    ),
  cors: z
    .union([z.boolean(), corsSchema])
    .nullish()
    .describe('`true`: browsers on this machine may call (for development); an object says who may; absent: off.'),
  tenancy: tenancySchema.nullish().describe('Whether callers are of tenants that do not see what others own; OGX.'),
  auth: authSectionSchema.nullish().describe('Who is asking, and who may do what.'),
  quota: quotaSchema.nullish().describe('How much may be used: requests, tokens, dollars.'),
  trusted_proxies: z
    .array(addressRange)
    .nullish()
    .describe(
      "Addresses and ranges of proxies whose `x-forwarded-for` and `forwarded` are trusted for the caller's address. Default: none.",
    ),
  egress: egressSchema.nullish().describe('What URLs that callers bring may reach beside the public internet.'),
  client_version_check: z
    .union([z.boolean(), z.array(z.string().regex(/^\d+\.\d+$/, 'must be a major.minor such as "0.7"'))])
    .nullish()
    .describe(
      'Reject clients of Llama Stack and OGX with status 426 unless their major.minor version is one of these; `true`: the supported versions.',
    ),
  audit: z
    .union([z.boolean(), auditSchema])
    .nullish()
    .describe('The log of denials and changes. Absent: on where there is authentication, a route policy or a quota.'),
  registry_refresh_interval_seconds: seconds.default(300).describe('Seconds between two listings of the providers with `refresh_models`.'),
  max_request_body_bytes: z.int().min(1024).max(1_073_741_824).default(33_554_432).describe('The largest request body, decompressed.'),
  max_json_members: z
    .int()
    .min(100)
    .max(100_000_000)
    .default(100_000)
    .describe('The members that all objects in a request body may have together; array elements are not counted.'),
  max_buffered_body_bytes: z
    .int()
    .min(1024)
    .max(1_099_511_627_776)
    .default(1_073_741_824)
    .describe('Bytes of request bodies, decompressed, that one process holds at once; requests beyond it get 503.'),
  upload_idle_timeout_seconds: seconds
    .default(30)
    .describe('Seconds without a byte after which a request whose body is still coming is refused (408).'),
  stream_head_timeout_seconds: seconds
    .default(15)
    .describe(
      "Seconds that a stream waits for the provider's response head, so that an error can become a status, before it starts without.",
    ),
  heartbeat_interval_seconds: seconds.default(15).describe('Seconds of silence in a stream before a heartbeat comment is sent.'),
  max_stream_seconds: z
    .number()
    .min(0)
    .max(2_000_000, 'must be at most 2000000 seconds')
    .default(3600)
    .describe('Maximum duration of a stream in seconds; it then ends with an error event. 0: no limit.'),
  max_running_requests: z
    .int()
    .min(1)
    .max(1_000_000)
    .default(10_000)
    .describe('Maximum number of concurrent requests per process, streams included; further ones get 503. Health checks are exempt.'),
  drain_timeout_seconds: z.number().min(0).max(86_400).default(30).describe('Seconds that running requests get to finish after SIGTERM.'),
  drain_grace_seconds: z
    .number()
    .min(0)
    .max(3600)
    .default(1)
    .describe('Seconds between `/readyz` turning false after SIGTERM and the port closing, so that load balancers notice.'),
})

export type ServerSection = z.output<typeof serverSchema>
