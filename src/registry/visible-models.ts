import type { Owner } from '../access/policy.ts'
import type { Principal } from '../call.ts'
import type { Denial } from '../errors.ts'
import type { ModelAccess } from './model-access.ts'
import { hasEmptyPart, canAccessUnlisted, upstreamOf, type CallerView } from './resolve.ts'
import type { StoredIndex, StoredAlias } from './stored-models.ts'

interface VisibleModelsOptions extends Pick<CallerView, 'providers' | 'indices' | 'aliases'> {
  /** The registered models; undefined while they cannot be read. */
  readonly registered: StoredIndex | undefined
  readonly access: ModelAccess
  readonly principal: Principal | undefined
}

/** The models that one caller can see at the time of a request. */
export class VisibleModels implements CallerView {
  readonly providers: CallerView['providers']
  readonly indices: CallerView['indices']
  readonly aliases: CallerView['aliases']
  /** The first denial: it is logged where the caller gets 404. */
  denial: Denial | undefined
  readonly #registered: StoredIndex | undefined
  readonly #access: ModelAccess
  readonly #principal: Principal | undefined

  constructor({ providers, indices, aliases, registered, access, principal }: VisibleModelsOptions) {
    this.providers = providers
    this.indices = indices
    this.aliases = aliases
    this.#registered = registered
    this.#access = access
    this.#principal = principal
  }

  canAccess(id: string, owner?: Owner): boolean {
    const denial = this.#access.denial(this.#principal, id, owner)
    this.denial ??= denial
    return denial === undefined
  }

  /**
   * A registered model does not bypass the policy: using it requires access to its target. (A configured alias is trusted: the operator wrote
   * it.)
   */
  stored(id: string): readonly StoredAlias[] {
    return this.visible(id).filter((one) => this.canAccessTarget(one.providerId, upstreamOf(one.model)))
  }

  /** The visible models of that name: the caller's own first, then the oldest, so that a later registration does not change what a name means to others. */
  visible(id: string): readonly StoredAlias[] {
    const named = this.#registered?.named(id) ?? []
    if (named.length === 0) return named
    const mine = (one: StoredAlias): boolean => one.owner?.id === this.#principal?.id
    const visible = named.filter((one) => this.canAccess(one.model.modelId, one.owner))
    return visible.length < 2 ? visible : [...visible.filter(mine), ...visible.filter((one) => !mine(one))]
  }

  /** The names of all registered models that the caller may use. */
  get storedIds(): readonly string[] {
    const ids = new Set(this.#registered?.all.map(({ model }) => model.modelId))
    return [...ids].filter((id) => this.stored(id).length > 0)
  }

  /** Whether the caller may see a provider's model, under the id that it has in the catalogue. */
  canAccessTarget(providerId: string, upstreamId: string): boolean {
    for (const index of this.indices) {
      const listed = index.ofProvider(providerId, upstreamId)
      if (listed) return this.canAccess(listed.id)
    }
    return !hasEmptyPart(upstreamId) && canAccessUnlisted(providerId, upstreamId, this)
  }
}
