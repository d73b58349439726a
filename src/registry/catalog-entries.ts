import type { ProviderModel } from '../providers/provider.ts'
import type { ModelType } from '../schemas/models.ts'

/** A model of one provider, under its id in the catalogue. */
export interface CatalogEntry {
  /** `provider_id/model`; the provider's own id where that begins so already. */
  readonly id: string
  readonly providerId: string
  /** The provider's own id. */
  readonly upstreamId: string
  readonly type: ModelType
  readonly typeIsGuess: boolean
  readonly metadata: Readonly<Record<string, unknown>>
  /** Unix seconds. */
  readonly created: number
  readonly ownedBy: string
}

/** What of a provider is needed to turn its listing into entries. */
export interface EntrySource {
  readonly id: string
  allows(upstreamId: string): boolean
}

/** Types and metadata from the configuration, which override a listing's. By the provider's own id of the model. */
export type ModelOverrides = ReadonlyMap<string, { readonly type: ModelType; readonly metadata: Readonly<Record<string, unknown>> }>

interface EntryOptions {
  readonly source: EntrySource
  readonly models: readonly ProviderModel[]
  /** For models whose provider does not say when they were created, Unix seconds. */
  readonly created: number
  readonly overrides?: ModelOverrides | undefined
}

/** The catalogue id of a provider's model, derived from its own id. */
export function catalogueId(providerId: string, upstreamId: string): string {
  const prefix = `${providerId}/`
  return upstreamId.startsWith(prefix) && upstreamId !== prefix ? upstreamId : prefix + upstreamId
}

/** The entries of a listing: filtered by `allowed_models`, each upstream id once, each catalogue id once. */
export function toCatalogEntries({ source, models, created, overrides }: EntryOptions): CatalogEntry[] {
  const entries = new Map<string, CatalogEntry>()
  const own = new Set(models.map(({ id }) => id))
  const prefix = `${source.id}/`
  for (const model of models) {
    if (model.id === '' || entries.has(model.id) || !source.allows(model.id)) continue
    // Not doubled: Groq's own `groq/compound` stays so. Unless the provider has `compound` as well, which then needs the short form.
    const prefixed = model.id.startsWith(prefix) && model.id !== prefix && !own.has(model.id.slice(prefix.length))
    const known = overrides?.get(model.id)
    const isExplicit = known && known.type !== 'llm'
    entries.set(model.id, {
      id: prefixed ? model.id : prefix + model.id,
      providerId: source.id,
      upstreamId: model.id,
      type: isExplicit ? known.type : model.type,
      typeIsGuess: !isExplicit && model.typeIsGuess === true,
      metadata: known ? { ...model.metadata, ...known.metadata } : model.metadata,
      created: Number.isFinite(model.created) ? Math.floor(model.created as number) : created,
      ownedBy: model.owned_by ?? source.id,
    })
  }
  return [...entries.values()]
}

/** Entries with the look-ups that resolution needs. Immutable: a new listing makes a new index. */
export interface CatalogIndex {
  readonly entries: readonly CatalogEntry[]
  byId(id: string): CatalogEntry | undefined
  /** The entries of all providers with this upstream id. */
  byUpstreamId(id: string): readonly CatalogEntry[]
  ofProvider(providerId: string, upstreamId: string): CatalogEntry | undefined
  /** A provider's first model of a type, in the provider's order. */
  firstOf(providerId: string, type: ModelType): CatalogEntry | undefined
}

/** Where two providers have the same catalogue id, the first one's entry is used. */
export function indexEntries(entries: readonly CatalogEntry[]): CatalogIndex {
  const byId = new Map<string, CatalogEntry>()
  const byUpstreamId = new Map<string, CatalogEntry[]>()
  const firsts = new Map<string, CatalogEntry>()
  for (const entry of entries) {
    if (!byId.has(entry.id)) byId.set(entry.id, entry)
    const alike = byUpstreamId.get(entry.upstreamId)
    if (alike) alike.push(entry)
    else byUpstreamId.set(entry.upstreamId, [entry])
    const first = `${entry.type}:${entry.providerId}`
    if (!firsts.has(first)) firsts.set(first, entry)
  }
  return {
    entries,
    byId: (id) => byId.get(id),
    byUpstreamId: (id) => byUpstreamId.get(id) ?? [],
    ofProvider: (providerId, upstreamId) => byUpstreamId.get(upstreamId)?.find((entry) => entry.providerId === providerId),
    firstOf: (providerId, type) => firsts.get(`${type}:${providerId}`),
  }
}
