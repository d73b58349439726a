import type { RegisteredModel } from '../config/config.ts'
import type { ModelType } from '../schemas/models.ts'
import type { ModelOverrides } from './catalog-entries.ts'
import { upstreamOf, type Aliases } from './resolve.ts'

/** The overrides in the configuration of models that their provider lists as well. */
export function modelOverrides(aliases: Aliases): Map<string, ModelOverrides> {
  const known = new Map<string, Map<string, { type: ModelType; metadata: RegisteredModel['metadata'] }>>()
  for (const { model, providerId } of aliases.all) {
    if (providerId === undefined || model.providerModelId === 'auto') continue
    const ofProvider = known.get(providerId) ?? new Map()
    known.set(providerId, ofProvider)
    if (!ofProvider.has(upstreamOf(model))) ofProvider.set(upstreamOf(model), { type: model.type, metadata: model.metadata })
  }
  return known
}
