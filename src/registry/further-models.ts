import type { Call } from '../call.ts'
import { type ApiError, invalidRequest } from '../errors.ts'
import type { FurtherModelFields, ModelRequest } from '../providers/provider.ts'

/** A model that a request names beside its `model`, and the field that names it. */
export interface NamedFurther {
  readonly field: string
  /** The provider's own id: it goes to the provider as it stands. */
  readonly id: string
}

/** Most ids in one field: each is looked up, and judged by the access policy. */
const maxFurther = 100

/** Gives the catalogue's id of such a model. Throws where the caller may not use it. */
export type CheckFurther = (named: NamedFurther, call: Call) => string

/** Asks a provider's model. */
export type Invoker = (request: ModelRequest<never>, call: Call) => Promise<never>

/** `invoke`, once every further model of a request was checked. The same function where the provider knows of none. */
export function checkingFurther(invoke: Invoker, fields: FurtherModelFields | undefined, check: CheckFurther): Invoker {
  if (!fields) return invoke
  const all: readonly string[] = [...fields.named, ...fields.opaque]
  const checked: Invoker = async (request, call) => {
    const named = furtherModelsIn(request.body, fields)
    if (named.length === 0) return invoke(request, call)
    const further = named.map((one) => ({ field: one.field, model: check(one, call), upstreamModel: one.id }))
    return invoke({ ...request, further }, call)
  }
  const { chosenIn } = fields
  return (request, call) => {
    const field = chosenIn?.(request.body)
    if (field !== undefined) return Promise.reject(unchecked(field))
    return all.some((one) => isGiven(request.body[one])) ? checked(request, call) : invoke(request, call)
  }
}

/** Throws ApiError 400 for fields of which it cannot be told which models they mean. */
function furtherModelsIn(body: Readonly<Record<string, unknown>>, { named, opaque }: FurtherModelFields): NamedFurther[] {
  for (const field of opaque) if (isGiven(body[field])) throw unchecked(field)
  return named.flatMap((field) => {
    const value = body[field]
    if (!isGiven(value)) return []
    const ids: readonly unknown[] = Array.isArray(value) ? value : [value]
    if (ids.length > maxFurther) {
      throw invalidRequest(`'${field}' names ${ids.length} models; the maximum is ${maxFurther}.`, {
        code: 'array_above_max_length',
        param: field,
      })
    }
    return ids.map((id) => {
      if (typeof id === 'string') return { field, id }
      throw invalidRequest(`'${field}' names further models: it must be a list of their ids.`, { param: field })
    })
  })
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null
}

function unchecked(field: string): ApiError {
  return invalidRequest(`'${field}' lets the provider choose another model, which cannot be checked here: leave it out.`, {
    code: 'model_choice_not_allowed',
    param: field,
  })
}
