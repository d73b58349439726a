import type { Call } from '../call.ts'
import { notFound } from '../errors.ts'
import type { ProviderInstance, ProviderRegistry } from '../registry/providers.ts'
import type { ProviderInfo } from '../schemas/inspect.ts'

/** Every provider with its health, checked concurrently. */
export function describeProviders(providers: ProviderRegistry, call: Call): Promise<ProviderInfo[]> {
  return Promise.all(providers.all.map((live) => describe(live, providers, call)))
}

/** Throws 404. */
export async function describeProvider(id: string, providers: ProviderRegistry, call: Call): Promise<ProviderInfo> {
  const live = providers.get(id)
  if (!live) throw notFound('Provider', id, { code: 'provider_not_found', param: 'provider_id' })
  return describe(live, providers, call)
}

async function describe(live: ProviderInstance, providers: ProviderRegistry, call: Call): Promise<ProviderInfo> {
  return {
    api: live.api,
    provider_id: live.id,
    provider_type: live.type,
    config: live.shownConfig,
    health: await providers.health(live, call),
  }
}
