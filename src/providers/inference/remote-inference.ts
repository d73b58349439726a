import type { z } from 'zod'
import type { Call } from '../../call.ts'
import { invalidRequest } from '../../errors.ts'
import type { NetworkOptions } from '../../egress/egress.ts'
import { extraHeaders, forCallerSuppliedHost, toNetworkOptions } from '../network-config.ts'
import type { ProviderPricing } from '../../quota/prices.ts'
import type { Secret } from '../../secret.ts'
import {
  defineProvider,
  mapInvoke,
  type InferenceProvider,
  type ProviderModel,
  type InferenceDefinition,
  type ProviderDeps,
  type StarterEntry,
} from '../provider.ts'
import { hasReadableField, callerFields, fieldOf, missingKey, hasUrl, urlFieldOf } from './caller-credentials.ts'
import { governedFieldsOf, joinFallbackModels } from './gateway.ts'
import { gateways } from './gateways.ts'
import { openaiCompatibleConfig, withoutEndSlashes, type CommonConfig, type OpenAICompatibleConfig } from './openai-compatible-config.ts'
import { openaiCompatible, type OpenAICompatibleOptions } from './openai-compatible.ts'
import { fetchUpstreamJson, pingUpstream, type UpstreamRequest } from './upstream-json.ts'

/** A remote provider that speaks OpenAI's format, as data: what it is called, where it is, how it takes its key, and what it does its own way. */
export interface RemoteVendor<Extra extends z.ZodRawShape> {
  type: `remote::${string}`
  description: string
  /** The root of its API. Absent: the configuration must name one; `urlRequired` says how. */
  baseUrl?: string | ((config: OpenAICompatibleConfig<Extra>) => string)
  urlRequired?: string
  /** The root where it is configured under a name of the vendor's own. */
  configuredUrl?(config: OpenAICompatibleConfig<Extra>): string | null | undefined
  /** The server's own key where it is configured under a name of the vendor's own. */
  configuredKey?(config: OpenAICompatibleConfig<Extra>): Secret | undefined | null
  /** Completes a root that was configured. Default: slashes at its end go. */
  completeUrl?: (url: string, config: OpenAICompatibleConfig<Extra>) => string
  key: KeyRule
  capabilities: OpenAICompatibleOptions['capabilities']
  /** Fields by which it takes another model than `model`. */
  fallbackModels?: OpenAICompatibleOptions['fallbackModels']
  /** `gen_ai.provider.name`, where the semantic conventions define one that is not the type without its prefix. */
  genAiName?: string
  pricing?: ProviderPricing
  /** Fields of `config:` beside the common ones. */
  fields?: Extra
  /** Names of further fields that a caller may send. */
  callerFields?: readonly string[]
  /**
   * The field in which a caller may name a root of its own. It is then called with the caller's own key or none, never with the server's.
   * `rejectedWithRoot`: where a root is configured, naming another is a 400.
   */
  callerUrl?: { field: string; complete(url: string): string; rejectedWithRoot: boolean }
  starter?: StarterEntry
  /** Further headers that are made of the caller's own data. */
  callerHeaders?(call: Call, config: OpenAICompatibleConfig<Extra>): Record<string, string>
  /** Where it differs in what is sent and what comes back. */
  overrides?(context: VendorContext<OpenAICompatibleConfig<Extra>>): Partial<OpenAICompatibleOptions>
  /** Capabilities that are not OpenAI's, and others done its own way. */
  wrap?(provider: InferenceProvider, context: VendorContext<OpenAICompatibleConfig<Extra>>): InferenceProvider
}

interface KeyRule {
  /** The field of the caller's provider data. */
  header: string
  /** Further names of that field, which Llama Stack or OGX use. */
  alternatives?: readonly string[]
  /** The variable that contains the server's own key by convention. */
  variable?: string
  /** False where a request without any key makes sense, such as to a server of one's own; may depend on the root. Default true. */
  required?: boolean | ((root: string) => boolean)
  /** The headers that carry it. Default `authorization: Bearer …`. */
  carry?: (key: string) => Record<string, string>
}

interface VendorContext<Config> {
  readonly config: Config
  readonly deps: ProviderDeps
  /** Completed, without a slash at its end; empty when neither configured nor known. */
  readonly root: string
  readonly network: NetworkOptions
  /** The operator's extra headers, names in lower case. */
  readonly headers: Readonly<Record<string, string>>
  /** The key to use for one call: the caller's, else the configured one, else undefined where none is needed. Throws ApiError 400. */
  readonly keyFor: (call: Call) => string | undefined
  /** The same as headers. */
  readonly authorize: (call: Call) => Record<string, string>
  /** Asks the vendor for one JSON document: `url` absolute, authorised as `call` is unless `anonymous`. Throws ApiError. */
  readonly fetchJson: (request: UpstreamRequest, call: Call) => Promise<unknown>
  /** The same where only a successful status matters. */
  readonly ping: (request: UpstreamRequest, call: Call) => Promise<void>
  /** Options of the relay that the configuration sets; they override the vendor's. */
  readonly configured: Pick<OpenAICompatibleOptions, 'streamUsage' | 'excludeToolsWhenNone'>
}

export function defineRemoteInference<const Extra extends z.ZodRawShape>(
  vendor: RemoteVendor<Extra>,
): InferenceDefinition<OpenAICompatibleConfig<Extra>> {
  const { header } = vendor.key
  const fields = [
    header,
    ...(vendor.key.alternatives ?? []),
    ...(vendor.callerFields ?? []),
    ...(vendor.callerUrl ? [vendor.callerUrl.field] : []),
  ]
  return defineProvider({
    api: 'inference',
    type: vendor.type,
    description: vendor.description,
    config: openaiCompatibleConfig<Extra>(vendor.fields ?? ({} as Extra), { urlRequired: vendor.urlRequired }),
    credentials: callerFields(fields),
    governedFields: governedFieldsOf(joinFallbackModels([vendor.fallbackModels, ...gateways.map((one) => one.fallbackModels)])),
    ...(vendor.genAiName !== undefined && { genAiName: vendor.genAiName }),
    ...(vendor.pricing && { pricing: vendor.pricing }),
    ...(vendor.starter && { starter: vendor.starter }),
    create: (config, deps) => createVendor(vendor, config, deps),
  })
}

function createVendor<Extra extends z.ZodRawShape>(
  vendor: RemoteVendor<Extra>,
  config: OpenAICompatibleConfig<Extra>,
  deps: ProviderDeps,
): InferenceProvider {
  const context = contextOf(vendor, config, deps)
  const { root, network } = context
  const overrides = { ...vendor.overrides?.(context), ...context.configured }
  const ownHeaders = { ...context.headers, ...(overrides.headers as Record<string, string> | undefined) }
  const callerHeaders = (call: Call): Record<string, string> => vendor.callerHeaders?.(call, config) ?? {}
  const options: OpenAICompatibleOptions = {
    baseUrl: root || noRoot(vendor),
    authorize: context.authorize,
    hasOwnKey: Boolean(root && (configuredKey(vendor, config) || !isRequired(vendor.key, root))),
    acceptsKeyOf: (call) => fieldsOf(vendor.key).some((field) => hasReadableField(call, field)),
    capabilities: vendor.capabilities,
    ...(vendor.fallbackModels && { fallbackModels: vendor.fallbackModels }),
    network,
    ...overrides,
    headers: vendor.callerHeaders ? (call) => ({ ...ownHeaders, ...callerHeaders(call) }) : ownHeaders,
  }
  const own = openaiCompatible(options, deps)
  const provider = vendor.wrap ? vendor.wrap(own, context) : own
  const { callerUrl } = vendor
  if (!callerUrl) return provider
  const { field } = callerUrl
  if (callerUrl.rejectedWithRoot && root) return selectByCall(provider, (call) => (hasUrl(call, field) ? rejectCallerUrl(field) : provider))
  const callerOptions = {
    ...options,
    ...callerRoot(vendor, callerUrl),
    headers: callerHeaders,
    network: forCallerSuppliedHost(network),
  }
  const callerProvider = openaiCompatible(callerOptions, deps)
  return {
    ...selectByCall(provider, (call) => (hasUrl(call, field) ? callerProvider : provider)),
    acceptsKeyOf: (call) => hasUrl(call, field) || (provider.acceptsKeyOf?.(call) ?? false),
    async [Symbol.asyncDispose]() {
      await provider[Symbol.asyncDispose]?.()
      await callerProvider[Symbol.asyncDispose]?.()
    },
  }
}

function rejectCallerUrl(field: string): never {
  throw invalidRequest(
    `The provider data's '${field}' is not accepted: this provider has a URL in the server's configuration. Leave '${field}' out.`,
    { code: 'provider_url_not_accepted', param: field },
  )
}

function contextOf<Extra extends z.ZodRawShape>(
  vendor: RemoteVendor<Extra>,
  config: OpenAICompatibleConfig<Extra>,
  deps: ProviderDeps,
): VendorContext<OpenAICompatibleConfig<Extra>> {
  const common = config as CommonConfig
  const named = common.base_url ?? common.url ?? vendor.configuredUrl?.(config)
  const complete = vendor.completeUrl ?? withoutEndSlashes
  const defaultUrl = typeof vendor.baseUrl === 'function' ? vendor.baseUrl(config) : (vendor.baseUrl ?? '')
  const root = named ? complete(named, config) : defaultUrl
  const network = toNetworkOptions(common.network, common)
  const headers = extraHeaders(common.network)
  const configured = configuredKey(vendor, config)
  const { header, variable, carry = bearer } = vendor.key
  const keyFor = (call: Call): string | undefined => {
    const key = callerKey(call, vendor.key) ?? configured?.reveal()
    if (!key && isRequired(vendor.key, root)) throw missingKey(header, variable)
    return key
  }
  const authorize = (call: Call): Record<string, string> => {
    const key = keyFor(call)
    return key ? carry(key) : {}
  }
  const authorised = (request: UpstreamRequest, call: Call): UpstreamRequest => {
    if (request.anonymous) return { network, ...request, headers: { ...headers, ...request.headers } }
    const key = keyFor(call)
    return { network, secrets: [key ?? ''], ...request, headers: { ...headers, ...(key && carry(key)), ...request.headers } }
  }
  return {
    config,
    deps,
    root,
    network,
    headers,
    keyFor,
    authorize,
    fetchJson: async (request, call) => fetchUpstreamJson(authorised(request, call), deps, call),
    ping: async (request, call) => pingUpstream(authorised(request, call), deps, call),
    configured: configuredOptions(common),
  }
}

function configuredOptions({
  stream_usage: streamUsage,
  exclude_tools_when_tool_choice_none: excludeToolsWhenNone,
}: CommonConfig): VendorContext<unknown>['configured'] {
  return {
    ...(typeof streamUsage === 'boolean' && { streamUsage }),
    ...(typeof excludeToolsWhenNone === 'boolean' && { excludeToolsWhenNone }),
  }
}

function isRequired({ required = true }: KeyRule, root: string): boolean {
  return typeof required === 'function' ? required(root) : required
}

function configuredKey<Extra extends z.ZodRawShape>(
  vendor: RemoteVendor<Extra>,
  config: OpenAICompatibleConfig<Extra>,
): Secret | undefined {
  const { api_key, api_token } = config as CommonConfig
  return api_key ?? api_token ?? vendor.configuredKey?.(config) ?? undefined
}

function fieldsOf({ header, alternatives = [] }: KeyRule): readonly string[] {
  return [header, ...alternatives]
}

/** The key that the caller brings. Throws ApiError 400 where it is not a text that a header can carry. */
function callerKey(call: Call, rule: KeyRule): string | undefined {
  for (const field of fieldsOf(rule)) {
    const key = fieldOf(call, field)
    if (key !== undefined) return key
  }
  return undefined
}

function bearer(key: string): Record<string, string> {
  return { authorization: `Bearer ${key}` }
}

function noRoot<Extra extends z.ZodRawShape>(vendor: RemoteVendor<Extra>): () => never {
  const { callerUrl } = vendor
  const remedy = callerUrl
    ? `Pass it in the header X-LlamaStack-Provider-Data (or X-OGX-Provider-Data) as {"${callerUrl.field}": "<URL>"}, or set base_url in the server's configuration.`
    : "Set base_url in the server's configuration."
  return () => {
    throw invalidRequest(`No URL is configured for this provider. ${remedy}`, { code: 'missing_provider_url' })
  }
}

/** What is different when the caller named the root: its own key or none, and nothing that was meant for the operator's host. */
function callerRoot<Extra extends z.ZodRawShape>(
  vendor: RemoteVendor<Extra>,
  callerUrl: NonNullable<RemoteVendor<Extra>['callerUrl']>,
): Pick<OpenAICompatibleOptions, 'baseUrl' | 'authorize'> {
  const { header, variable, carry = bearer } = vendor.key
  return {
    baseUrl: (call) => urlFieldOf(call, callerUrl.field).withRoot((root) => callerUrl.complete(root)),
    authorize(call) {
      const key = callerKey(call, vendor.key)
      if (!key && isRequired(vendor.key, '')) throw missingKey(header, variable)
      return key ? carry(key) : {}
    },
  }
}

/** `own`, with each call of a capability given to the provider that `pick` chooses. */
function selectByCall(own: InferenceProvider, pick: (call: Call) => InferenceProvider): InferenceProvider {
  return {
    ...own,
    invoke: mapInvoke(own.invoke, (_, operation) => (request, call) => pick(call).invoke[operation]!(request, call)),
    ...(own.listModels && { listModels: (call) => pick(call).listModels!(call) }),
    ...(own.checkHealth && { checkHealth: (call) => pick(call).checkHealth!(call) }),
  }
}

/** A table of models whose type or size the vendor's listing does not contain, as `typeOf` takes it. */
export function knownModels(
  table: Readonly<Record<string, { type?: ProviderModel['type']; metadata?: Record<string, unknown> }>>,
): NonNullable<OpenAICompatibleOptions['typeOf']> {
  return (id) => {
    const known = Object.hasOwn(table, id) ? table[id] : undefined
    return known && { type: known.type ?? 'llm', ...(known.metadata && { metadata: known.metadata }) }
  }
}

/** Embedding models of known dimension and context length, as `typeOf` takes them: `{ id: [dimension, context length] }`. */
export function knownEmbeddings(table: Readonly<Record<string, readonly [dimension: number, contextLength: number]>>) {
  return knownModels(
    Object.fromEntries(
      Object.entries(table).map(([id, [embedding_dimension, context_length]]) => [
        id,
        { type: 'embedding' as const, metadata: { embedding_dimension, context_length } },
      ]),
    ),
  )
}
