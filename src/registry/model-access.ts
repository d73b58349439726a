import type { AccessPolicy, Owner, Resource } from '../access/policy.ts'
import { denialOf } from '../access/refusal.ts'
import type { KeyGrant, Principal } from '../call.ts'
import { type Denial, shortened } from '../errors.ts'
import { compileWildcard } from '../quota/patterns.ts'

/** The resource type of models in policies. */
export const modelType = 'model'

/** A model as a resource of policies: by its id in the catalogue. Without owner where it is configured or listed. */
function modelResource(id: string, owner?: Owner): Resource {
  return { type: modelType, id, owner }
}

/** Which models a caller may see and use: those that the access policy permits to read, limited by the caller's API key. Synchronous: it runs with every request. */
export class ModelAccess {
  readonly #policy: AccessPolicy
  /** A key is the same object in all of its requests: its patterns are compiled once. */
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
