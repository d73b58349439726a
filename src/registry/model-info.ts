import type { Model } from '../schemas/models.ts'
import type { CatalogEntry } from './catalog-entries.ts'

/** With OpenAI's keys and Llama Stack's, old and new, side by side. */
export function toModel(entry: CatalogEntry): Model {
  const { id, providerId, upstreamId, type, metadata } = entry
  return {
    id,
    object: 'model',
    created: entry.created,
    owned_by: entry.ownedBy,
    identifier: id,
    provider_id: providerId,
    provider_resource_id: upstreamId,
    type: 'model',
    model_type: type,
    metadata: { ...metadata },
    custom_metadata: { ...metadata, model_type: type, provider_id: providerId, provider_resource_id: upstreamId },
  }
}
