import type { AccessPolicy, Owner, Resource } from '../access/policy.ts'
import { denialOf } from '../access/refusal.ts'
import type { KeyGrant, Principal } from '../call.ts'
import { type Denial, shortened } from '../errors.ts'
import { compileWildcard } from '../quota/patterns.ts'

/** What policies call a model. */
export const modelType = 'model'

/** The resource that a model is to policies: by its id in the catalogue. Without owner where it is configured or listed. */
function modelResource(id: string, owner?: Owner): Resource {
  return { type: modelType, id, owner }
}

/** Who may see and use which models: what the access policy lets be read, as far as the caller's own key goes. Synchronous, and asked with every request. */
export class ModelAccess {
  readonly #policy: AccessPolicy
  /** Keys come again and again as the same object: their patterns are read once. */
  readonly #patterns = new WeakMap<KeyGrant, readonly ((id: string) => boolean)[]>()

  constructor(policy: AccessPolicy) {
    this.#policy = policy
  }

  /** Why the caller may not use the model; undefined: it may. */
  denial(principal: Principal | undefined, id: string, owner?: Owner): Denial | undefined {
    if (!principal) return undefined
    const { key } = principal
    if (key && !this.keyAllows(key, id)) {
      return { by: 'key', reason: `not among the models of the key ${key.id}`, action: 'read', resource: shortened(`${modelType}::${id}`) }
    }
    const resource = modelResource(id, owner)
    const decision = this.#policy.decide({ principal, action: 'read', resource })
    return decision.allowed ? undefined : denialOf(decision, 'read', resource)
  }

  keyAllows(key: KeyGrant, id: string): boolean {
    if (!key.allowedModels) return true
    let patterns = this.#patterns.get(key)
    if (!patterns) {
      patterns = key.allowedModels.map(compileWildcard)
      this.#patterns.set(key, patterns)
    }
    return patterns.some((matches) => matches(id))
  }
}
