import type { Model } from '../schemas/models.ts'
import type { Offer } from './offers.ts'

/** With OpenAI's keys and Llama Stack's, old and new, side by side. */
export function toModel(offer: Offer): Model {
  const { id, providerId, upstreamId, type, metadata } = offer
  return {
    id,
    object: 'model',
    created: offer.created,
    owned_by: offer.ownedBy,
    identifier: id,
    provider_id: providerId,
    provider_resource_id: upstreamId,
    type: 'model',
    model_type: type,
    metadata: { ...metadata },
    custom_metadata: { ...metadata, model_type: type, provider_id: providerId, provider_resource_id: upstreamId },
  }
}
