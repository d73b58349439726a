import type { Call } from '../../call.ts'
import { ApiError } from '../../errors.ts'
import type { OperationName } from '../../operations/index.ts'
import type { FallbackModelFields, InferenceProvider, ProviderModel, ModelRequest, ProviderDeps, Reply } from '../provider.ts'
import { gatewaysAt, joinFallbackModels } from './gateway.ts'
import { gateways } from './gateways.ts'
import { toListedModels } from './listing.ts'
import type { OpenAICompatibleOptions } from './openai-compatible-options.ts'
import { OpenAIRelay } from './relay.ts'
import { fetchUpstreamJson, pingUpstream, type UpstreamRequest } from './upstream-json.ts'

export type { OpenAICompatibleOptions } from './openai-compatible-options.ts'

/** An inference provider over an upstream that speaks OpenAI's format: relays bytes, edits what must differ, maps failures. */
export function openaiCompatible(options: OpenAICompatibleOptions, deps: ProviderDeps): InferenceProvider {
  const relay = new OpenAIRelay(options, deps)
  const send =
    (operation: OperationName) =>
    (request: ModelRequest<object>, call: Call): Promise<Reply> =>
      relay.send(operation, request, call)

  const upstreamRequest = async (path: string, call: Call): Promise<UpstreamRequest> => {
    const authorization = await options.authorize(call)
    return {
      url: relay.url(path, call),
      headers: { ...relay.headers(call), ...authorization },
      secrets: Object.values(authorization),
      ...(options.network && { network: options.network }),
    }
  }
  const modelsPath = options.paths?.models ?? '/models'

  const listModels = async (call: Call): Promise<ProviderModel[]> => {
    if (options.parseModels === false) return [...(options.staticModels ?? [])]
    return toListedModels(await fetchUpstreamJson(await upstreamRequest(modelsPath, call), deps, call), options, deps)
  }

  const checkHealth = async (call: Call): Promise<void> => {
    const path = options.paths?.health
    if (path === undefined && options.parseModels !== false) {
      await listModels(call)
      return
    }
    try {
      await pingUpstream(await upstreamRequest(path ?? modelsPath, call), deps, call)
    } catch (error) {
      // No listing and no health path: all that can be checked is that it responds and accepts the key.
      const alive = path === undefined && error instanceof ApiError && error.provider && [400, 404, 405].includes(error.status)
      if (!alive) throw error
    }
  }

  return {
    hasOwnKey: options.hasOwnKey,
    fallbackModels: fallbackModelsOf(options),
    ...(options.acceptsKeyOf && { acceptsKeyOf: (call: Call) => options.acceptsKeyOf?.(call) === true }),
    invoke: Object.fromEntries(options.capabilities.map((operation) => [operation, send(operation)])),
    listModels,
    checkHealth,
  }
}

/** The vendor's own fields, and those of the gateways that the operator's root may lead to. */
function fallbackModelsOf({ baseUrl, fallbackModels }: OpenAICompatibleOptions): FallbackModelFields {
  const root = typeof baseUrl === 'string' ? baseUrl : ''
  return joinFallbackModels([fallbackModels, ...gatewaysAt(root, gateways).map((gateway) => gateway.fallbackModels)])
}
