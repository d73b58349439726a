import { invalidRequest, notFound } from '../errors.ts'
import type { Call } from '../call.ts'
import type { Capability, InferenceProvider } from '../providers/provider.ts'
import type { Model } from '../schemas/models.ts'

/** A model that may be called: the capability, bound to its provider and metered, and the upstream's id. */
export interface ResolvedModel<C extends Capability> {
  readonly invoke: NonNullable<InferenceProvider[C]>
  /** The upstream's id. */
  readonly model: string
  readonly providerId: string
}

export interface ModelCatalog {
  /** The one look-up. Throws 404 (absent or not the caller's), 400 (ambiguous, or the provider lacks the capability), 503 (not listed yet). */
  resolve<C extends Capability>(id: string, capability: C, call: Call): Promise<ResolvedModel<C>>
  list(call: Call): Promise<Model[]>
  get(id: string, call: Call): Promise<Model>
}

export function createModelCatalog(providers: ReadonlyMap<string, InferenceProvider>): ModelCatalog {
  return {
    async resolve(id, capability) {
      const slash = id.indexOf('/')
      const providerId = id.slice(0, Math.max(slash, 0))
      const provider = providers.get(providerId)
      if (!provider) throw notFound('Model', id, { code: 'model_not_found', param: 'model' })
      const invoke = provider[capability]
      if (!invoke) throw invalidRequest(`Provider '${providerId}' does not support ${capability}.`, { param: 'model' })
      return { invoke: invoke.bind(provider) as never, model: id.slice(slash + 1), providerId }
    },
    async list() {
      return []
    },
    async get(id) {
      throw notFound('Model', id, { code: 'model_not_found' })
    },
  }
}
