import type { Owner } from '../access/policy.ts'
import type { Principal } from '../call.ts'
import type { Denial } from '../errors.ts'
import type { ModelAccess } from './model-access.ts'
import { hasEmptyPart, seesUnlisted, upstreamOf, type Sight } from './resolve.ts'
import type { StoredIndex, StoredModel } from './stored-models.ts'

export interface SightOptions extends Pick<Sight, 'providers' | 'indices' | 'aliases'> {
  /** What is registered; undefined where it cannot be known now. */
  readonly registered: StoredIndex | undefined
  readonly access: ModelAccess
  readonly principal: Principal | undefined
}

/** What one caller can see when it asks, and what was kept from it. */
export class CallerSight implements Sight {
  readonly providers: Sight['providers']
  readonly indices: Sight['indices']
  readonly aliases: Sight['aliases']
  /** The first refusal that was met: what the log is told where the caller is told that there is nothing. */
  denial: Denial | undefined
  readonly #registered: StoredIndex | undefined
  readonly #access: ModelAccess
  readonly #principal: Principal | undefined

  constructor({ providers, indices, aliases, registered, access, principal }: SightOptions) {
    this.providers = providers
    this.indices = indices
    this.aliases = aliases
    this.#registered = registered
    this.#access = access
    this.#principal = principal
  }

  sees(id: string, owner?: Owner): boolean {
    const denial = this.#access.denial(this.#principal, id, owner)
    this.denial ??= denial
    return denial === undefined
  }

  /**
   * A registered model is no way round the policy: who uses it must be permitted what it stands for as well. (A configured alias is the
   * operator's word.)
   */
  stored(id: string): readonly StoredModel[] {
    return this.visible(id).filter((one) => this.seesTarget(one.providerId, upstreamOf(one.model)))
  }

  /** Of that name, the caller's own first, then the eldest: one that somebody registers later changes nothing for those who see an elder one. */
  visible(id: string): readonly StoredModel[] {
    const named = this.#registered?.named(id) ?? []
    if (named.length === 0) return named
    const mine = (one: StoredModel): boolean => one.owner?.id === this.#principal?.id
    const visible = named.filter((one) => this.sees(one.model.modelId, one.owner))
    return visible.length < 2 ? visible : [...visible.filter(mine), ...visible.filter((one) => !mine(one))]
  }

  /** The names of all registered models that the caller may use. */
  get storedIds(): readonly string[] {
    const ids = new Set(this.#registered?.all.map(({ model }) => model.modelId))
    return [...ids].filter((id) => this.stored(id).length > 0)
  }

  /** Whether the caller may see a provider's model, under the id that it has in the catalogue. */
  seesTarget(providerId: string, upstreamId: string): boolean {
    for (const index of this.indices) {
      const listed = index.ofProvider(providerId, upstreamId)
      if (listed) return this.sees(listed.id)
    }
    return !hasEmptyPart(upstreamId) && seesUnlisted(providerId, upstreamId, this)
  }
}
