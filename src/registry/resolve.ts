import type { Owner } from '../access/policy.ts'
import type { RegisteredModel } from '../config/config.ts'
import { catalogueId, type CatalogEntry, type CatalogIndex, type EntrySource } from './catalog-entries.ts'

/** What resolution needs of a provider. */
export interface ResolvableProvider extends EntrySource {
  /** Running, and with a key of its own where it needs one: `all` goes to such providers even when they cannot list. */
  readonly serves: boolean
  /** Its first listing has neither ended nor taken too long: requests that name it wait. */
  readonly awaited: boolean
  /** More of what it has for this caller may become known soon. True until its first listing has ended, so while `awaited` as well. */
  readonly mayChange: boolean
  /** A listing of it is known, so that what is not in there is not there. */
  readonly listed: boolean
  /** Its listings have failed so far, and are tried again. */
  readonly down: boolean
}

/** The models that one caller can see at the time of a request. */
export interface CallerView {
  /** In the configuration's order. */
  readonly providers: ReadonlyMap<string, ResolvableProvider>
  /** The shared catalogue, then what the caller's own keys have listed. */
  readonly indices: readonly CatalogIndex[]
  readonly aliases: Aliases
  /** Models of this name that were registered over the API and that this caller may use, in order of precedence. */
  stored(id: string): readonly Alias[]
  /** Whether the caller may see the model with this catalogue id: a model that it may not see does not exist for it. */
  canAccess(id: string, owner?: Owner): boolean
}

export type Resolution =
  | { kind: 'entry'; entry: CatalogEntry }
  /** The prefix names a provider, and the rest is a model that it has not listed. */
  | { kind: 'unlisted'; providerId: string; upstreamId: string }
  /** Several providers have it. `ids` are theirs in the catalogue. */
  | { kind: 'ambiguous'; ids: readonly string[] }
  /** Depends on pending listings of these providers. */
  | { kind: 'awaited'; providerIds: readonly string[] }
  | { kind: 'absent' }

/**
 * Which model an id means. In this order, the first that applies decides:
 * 1. an id of the catalogue, exactly;
 * 2. a configured alias, with or without its provider's prefix;
 * 3. a model registered over the API: the caller's own, else the eldest that it may use;
 * 4. the id of a provider before the first slash: the rest is that provider's model, listed or not. No other provider is tried then,
 *    not even when one has a model of just this name: `openai/gpt-oss-120b` is Groq's own id for one of its models,
 *    and means Groq's model only where no provider is called `openai`; `groq/openai/gpt-oss-120b` means it always;
 * 5. a provider's own id, where exactly one provider has it.
 *
 * At each step only what the caller may see counts.
 *
 * With `patient`, what a pending listing could change is `awaited`; without, what is known decides.
 */
export function resolveId(id: string, view: CallerView, patient: boolean): Resolution {
  const exact = find(view, (index) => index.byId(id))
  if (exact && view.canAccess(exact.id)) return { kind: 'entry', entry: exact }
  const alias = view.aliases.get(id)
  if (alias && view.canAccess(alias.model.modelId)) return resolveAlias(alias, view, patient)
  const [stored] = view.stored(id)
  if (stored) return resolveAlias(stored, view, patient)
  const slash = id.indexOf('/')
  const named = slash > 0 && slash < id.length - 1 ? view.providers.get(id.slice(0, slash)) : undefined
  if (named) {
    const upstreamId = id.slice(slash + 1)
    // The catalogue may have the same model under a shorter id (`groq/compound` for `groq/groq/compound`), whose policy applies.
    const listed = find(view, (index) => index.ofProvider(named.id, upstreamId))
    if (listed) return view.canAccess(listed.id) ? { kind: 'entry', entry: listed } : { kind: 'absent' }
    if (!canAccessUnlisted(named.id, upstreamId, view)) return { kind: 'absent' }
    if (named.awaited) return { kind: 'awaited', providerIds: [named.id] }
    if (hasEmptyPart(upstreamId)) return { kind: 'absent' }
    return named.allows(upstreamId) ? { kind: 'unlisted', providerId: named.id, upstreamId } : { kind: 'absent' }
  }
  return resolveUnprefixed(id, view, patient)
}

/**
 * Upstreams may well read `//secret/model` as `secret/model`, and patterns of policies do not: such an id means only what is listed under it
 * (paths on a server's disk are).
 */
export function hasEmptyPart(id: string): boolean {
  return id.startsWith('/') || id.endsWith('/') || id.includes('//')
}

/** Whether the caller may see a model that its provider has not listed, under whichever id it would be. */
export function canAccessUnlisted(providerId: string, upstreamId: string, view: Pick<CallerView, 'canAccess'>): boolean {
  const full = `${providerId}/${upstreamId}`
  const short = catalogueId(providerId, upstreamId)
  return view.canAccess(full) && (short === full || view.canAccess(short))
}

function resolveUnprefixed(id: string, view: CallerView, patient: boolean): Resolution {
  const unsure = [...view.providers.values()].filter((provider) => provider.mayChange).map((provider) => provider.id)
  if (patient && unsure.length > 0) return { kind: 'awaited', providerIds: unsure }
  const found = new Map<string, CatalogEntry>()
  for (const index of view.indices) {
    for (const entry of index.byUpstreamId(id))
      if (!found.has(entry.providerId) && view.canAccess(entry.id)) found.set(entry.providerId, entry)
  }
  const [first, ...others] = found.values()
  if (!first) return unsure.length > 0 ? { kind: 'awaited', providerIds: unsure } : { kind: 'absent' }
  return others.length === 0
    ? { kind: 'entry', entry: first }
    : { kind: 'ambiguous', ids: [first, ...others].map((entry) => entry.id).toSorted() }
}

/** The target of an alias. */
export function resolveAlias(alias: Alias, view: CallerView, patient: boolean): Resolution {
  const { model, providerId } = alias
  const candidates =
    providerId === undefined ? [...view.providers.values()] : [view.providers.get(providerId)].filter((one) => one !== undefined)
  const waitFor: string[] = []
  let lastResort: ResolvableProvider | undefined
  for (const provider of candidates) {
    const entry = aliasTarget(alias, provider, view)
    if (entry) {
      if (patient && waitFor.length > 0) break
      return { kind: 'entry', entry }
    }
    if (provider.mayChange) waitFor.push(provider.id)
    else if (!provider.listed && provider.serves && model.providerModelId !== 'auto' && provider.allows(upstreamOf(model)))
      lastResort ??= provider
  }
  if (waitFor.length > 0) return { kind: 'awaited', providerIds: waitFor }
  // The model is configured: it is not absent because its provider is unavailable.
  const down = candidates.filter((provider) => provider.down)
  if (!lastResort && down.length > 0) return { kind: 'awaited', providerIds: down.map(({ id }) => id) }
  return lastResort ? { kind: 'entry', entry: aliasEntry(alias, lastResort.id, undefined) } : { kind: 'absent' }
}

function aliasTarget(alias: Alias, provider: ResolvableProvider, view: CallerView): CatalogEntry | undefined {
  const { model, providerId } = alias
  if (model.providerModelId === 'auto') {
    const first = find(view, (index) => index.firstOf(provider.id, model.type))
    return first && aliasEntry(alias, provider.id, first)
  }
  const upstreamId = upstreamOf(model)
  if (!provider.allows(upstreamId)) return undefined
  const listed = find(view, (index) => index.ofProvider(provider.id, upstreamId))
  // A configured model of a named provider exists, listed or not.
  return listed || providerId !== undefined ? aliasEntry(alias, provider.id, listed) : undefined
}

function aliasEntry({ model, created, registeredAt }: Alias, providerId: string, target: CatalogEntry | undefined): CatalogEntry {
  const isExplicit = model.type !== 'llm' || !target
  return {
    id: model.modelId,
    providerId,
    upstreamId: target?.upstreamId ?? upstreamOf(model),
    type: isExplicit ? model.type : target.type,
    typeIsGuess: isExplicit ? model.type === 'llm' : target.typeIsGuess,
    metadata: target ? { ...target.metadata, ...model.metadata } : model.metadata,
    created: registeredAt ?? target?.created ?? created,
    ownedBy: target?.ownedBy ?? providerId,
  }
}

function find(view: CallerView, look: (index: CatalogIndex) => CatalogEntry | undefined): CatalogEntry | undefined {
  for (const index of view.indices) {
    const entry = look(index)
    if (entry) return entry
  }
  return undefined
}

export function upstreamOf(model: RegisteredModel): string {
  return model.providerModelId ?? model.modelId
}

/** A registered model, ready to be looked up. */
export interface Alias {
  readonly model: RegisteredModel
  /** The one provider it goes to; undefined: the first that can serve it. */
  readonly providerId: string | undefined
  /** Unix seconds, for aliases whose target does not say. */
  readonly created: number
  /** Of those that were registered over the API: Unix seconds. */
  readonly registeredAt?: number | undefined
}

export interface Aliases {
  get(id: string): Alias | undefined
  /** Each once, in the configuration's order. */
  readonly all: readonly Alias[]
}

interface AliasOptions {
  registered: readonly RegisteredModel[]
  /** The providers that there are, in the configuration's order. */
  providerIds: readonly string[]
  /** Unix seconds. */
  created: number
  /** Called for every entry that is invalid or incomplete. */
  warn: (message: string) => void
}

/**
 * The registered models by the ids that reach them: their `model_id` and, where they go to one provider, also `provider_id/model_id`,
 * as OGX spells them. Entries for providers that are not enabled are left out with a warning.
 */
export function toAliases({ registered, providerIds, created, warn }: AliasOptions): Aliases {
  const byId = new Map<string, Alias>()
  const all: Alias[] = []
  const prefixed: [string, Alias][] = []
  for (const model of registered) {
    const providerId = providerOf(model, providerIds, warn)
    if (providerId === null) continue
    if (byId.has(model.modelId)) {
      warn(`The model '${model.modelId}' is registered more than once. The first entry is used.`)
      continue
    }
    if (model.type === 'embedding' && typeof model.metadata.embedding_dimension !== 'number') {
      warn(`The embedding model '${model.modelId}' has no metadata.embedding_dimension. Vector stores cannot use it.`)
    }
    const alias: Alias = { model, providerId, created }
    all.push(alias)
    byId.set(model.modelId, alias)
    if (providerId !== undefined && !model.modelId.startsWith(`${providerId}/`)) prefixed.push([`${providerId}/${model.modelId}`, alias])
  }
  for (const [id, alias] of prefixed) if (!byId.has(id)) byId.set(id, alias)
  return { all, get: (id) => byId.get(id) }
}

/** Null: to none. Undefined: to the first that can serve it. */
function providerOf(model: RegisteredModel, providerIds: readonly string[], warn: (message: string) => void): string | undefined | null {
  const { providerId, modelId } = model
  if (providerId === 'all') return undefined
  if (providerId !== undefined) {
    if (providerIds.includes(providerId)) return providerId
    warn(`The model '${modelId}' is not served: provider '${providerId}' is not enabled.`)
    return null
  }
  const [only, ...others] = providerIds
  if (only !== undefined && others.length === 0) return only
  warn(
    `The model '${modelId}' is not served: provider_id is missing and there ${
      only === undefined ? 'is no inference provider' : `are ${providerIds.length} inference providers`
    }.`,
  )
  return null
}
