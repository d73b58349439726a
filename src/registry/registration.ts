import { invalidRequest, shortened } from '../errors.ts'
import type { ModelType, RegisterModelRequest } from '../schemas/models.ts'
import { catalogueId } from './catalog-entries.ts'

/** A model to register, with all defaults applied. */
export interface CheckedModel {
  readonly modelId: string
  readonly providerId: string
  readonly providerModelId: string
  readonly type: ModelType
  readonly metadata: Readonly<Record<string, unknown>>
  /** The catalogue's id of its target. */
  readonly target: string
}

/** Bytes of JSON. */
const maxMetadataBytes = 16_384

/** Applies Llama Stack's defaults. Throws ApiError 400. `providerIds`: the configured inference providers. */
export function checkRegistration(body: RegisterModelRequest, providerIds: readonly string[]): CheckedModel {
  const { model_id: modelId } = body
  const [type, metadata] = [body.model_type ?? 'llm', body.metadata ?? {}]
  checkId(modelId)
  const providerId = providerOf(body.provider_id ?? undefined, providerIds)
  const providerModelId = upstreamIdOf(body, providerId, providerIds)
  if (providerModelId === 'auto') {
    throw invalidRequest("'auto' is supported only in the configuration. Name the model.", {
      param: 'provider_model_id',
    })
  }
  if (type === 'embedding' && typeof metadata['embedding_dimension'] !== 'number') {
    throw invalidRequest('Embedding model must have an embedding dimension in its metadata', { param: 'metadata.embedding_dimension' })
  }
  if (Buffer.byteLength(JSON.stringify(metadata)) > maxMetadataBytes) {
    throw invalidRequest(`The metadata must be at most ${maxMetadataBytes} bytes of JSON.`, { param: 'metadata' })
  }
  return { modelId, providerId, providerModelId, type, metadata, target: catalogueId(providerId, providerModelId) }
}

/** An id must survive a URL's path unchanged. */
function checkId(modelId: string): void {
  const segments = modelId.split('/')
  if (segments.some((segment) => segment === '' || segment === '.' || segment === '..')) {
    throw invalidRequest("model_id must not start or end with '/' or contain an empty, '.' or '..' path segment.", {
      param: 'model_id',
    })
  }
}

function providerOf(providerId: string | undefined, providerIds: readonly string[]): string {
  const [only, ...others] = providerIds
  if (providerId === undefined) {
    if (only !== undefined && others.length === 0) return only
    throw invalidRequest(
      only === undefined
        ? 'No inference provider is configured.'
        : `No provider specified and multiple providers available. Please specify a provider_id. Available providers: ${providerIds.join(', ')}`,
      { code: 'provider_not_found', param: 'provider_id' },
    )
  }
  if (providerIds.includes(providerId)) return providerId
  const known = providerIds.length > 0 ? `. Available providers: ${providerIds.join(', ')}` : ''
  throw invalidRequest(`Unknown inference provider '${shortened(providerId)}'${known}.`, {
    code: 'provider_not_found',
    param: 'provider_id',
  })
}

/**
 * The provider's own id. A `model_id` that begins with a provider's id and a slash already means that provider's model, with nothing
 * registered, and can mean nothing else.
 */
function upstreamIdOf(body: RegisterModelRequest, providerId: string, providerIds: readonly string[]): string {
  const modelId = body.model_id
  const providerModelId = body.provider_model_id ?? undefined
  const slash = modelId.indexOf('/')
  const prefix = slash > 0 ? modelId.slice(0, slash) : undefined
  if (prefix === undefined || !providerIds.includes(prefix)) return providerModelId ?? modelId
  const rest = modelId.slice(slash + 1)
  if (prefix === providerId && (providerModelId === undefined || providerModelId === rest || providerModelId === modelId)) {
    return providerModelId ?? rest
  }
  throw invalidRequest(
    `'${shortened(modelId)}' is reserved for the model '${shortened(rest)}' of provider '${prefix}'. Use another model_id.`,
    { param: 'model_id' },
  )
}
