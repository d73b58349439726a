import { z } from 'zod'
import { flag, httpUrl, secret } from '../config-values.ts'
import { networkConfig } from '../network-config.ts'

/** The fields of `config:` of every provider that speaks OpenAI's format. */
const commonFields = {
  base_url: httpUrl().nullish().describe("The root of the provider's API."),
  url: httpUrl().nullish().describe('Deprecated alias of base_url.'),
  api_key: secret().nullish().describe("The server's own key. A caller's, sent in the provider-data header, goes before it."),
  api_token: secret().nullish().describe('Alias of api_key.'),
  allowed_models: z.array(z.string()).nullish().describe("The provider's own ids of the models that callers may use. Absent: all."),
  refresh_models: flag().nullish().describe('Whether the models are listed again from time to time. Default false.'),
  stream_usage: flag()
    .nullish()
    .describe(
      'Whether usage is requested in streams (stream_options). false: stream_options is never sent, and usage that is not reported is estimated. ' +
        'Default: true, unless the provider is known to refuse it or to report usage unasked.',
    ),
  exclude_tools_when_tool_choice_none: flag()
    .nullish()
    .describe(
      'Whether tools and tool_choice are left out where tool_choice is "none", unless the messages hold tool calls. ' +
        'Default: false, unless the provider type is known to call tools all the same.',
    ),
  network: networkConfig.nullish(),
  tls_verify: z.union([flag(), z.string()]).nullish().describe('Deprecated alias of network.tls.verify.'),
  timeout: z.number().positive().nullish().describe('Deprecated alias of network.timeout. Seconds.'),
}

/** The schema of `config:`: the common fields and a provider's own. With `urlRequired` one of base_url and url must be there. */
export function openaiCompatibleConfig<Extra extends z.ZodRawShape>(extra: Extra, options: { urlRequired?: string | undefined } = {}) {
  const schema = z.strictObject({ ...commonFields, ...extra })
  const { urlRequired } = options
  if (urlRequired === undefined) return schema
  return schema.refine((config) => Boolean((config as CommonConfig).base_url ?? (config as CommonConfig).url), {
    path: ['base_url'],
    message: `is required: ${urlRequired}`,
  })
}

export type CommonConfig = z.output<z.ZodObject<typeof commonFields>>
export type OpenAICompatibleConfig<Extra extends z.ZodRawShape> = z.output<ReturnType<typeof openaiCompatibleConfig<Extra>>>

/** A URL without slashes at its end. A caller may have put any number there. */
export function withoutEndSlashes(url: string): string {
  let end = url.length
  while (url[end - 1] === '/') end -= 1
  return url.slice(0, end)
}

/** A URL without slashes at its end; one that has no path gets `path`. */
export function withPath(url: string, path: string): string {
  const root = withoutEndSlashes(url)
  return new URL(root).pathname === '/' ? root + path : root
}

/** A URL that ends in `/v1`, once. */
export function withV1(url: string): string {
  const root = withoutEndSlashes(url)
  return root.endsWith('/v1') ? root : `${root}/v1`
}

/** A URL without `/v1` at its end: where a server's own, not OpenAI's, paths begin. */
export function withoutV1(url: string): string {
  return withoutEndSlashes(url).replace(/\/v1$/, '')
}
