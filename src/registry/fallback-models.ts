import type { Call } from '../call.ts'
import { type ApiError, invalidRequest } from '../errors.ts'
import type { FallbackModelFields } from '../providers/provider.ts'
import type { FallbackCheck } from './catalog.ts'

/** A model that a request names beside its `model`, and the field that names it. */
export interface NamedFallback {
  readonly field: string
  /** The provider's own id, sent unchanged. */
  readonly id: string
}

/** Maximum ids in one field: each is looked up and checked against the access policy. */
const maxFallbacks = 100

/** Gives the catalogue's id of such a model. Throws where the caller may not use it. */
type CheckFallback = (named: NamedFallback, call: Call) => string

/** Finds and checks the models that requests name in `fields`. */
export function fallbackCheck(fields: FallbackModelFields, check: CheckFallback): FallbackCheck {
  const all: readonly string[] = [...fields.named, ...fields.uncheckable]
  const { findModelChoice } = fields
  return (body, call) => {
    const members = body as Readonly<Record<string, unknown>>
    const field = findModelChoice?.(members)
    if (field !== undefined) throw uncheckableField(field)
    if (!all.some((one) => isPresent(members[one]))) return undefined
    const named = fallbackModelsIn(members, fields)
    return named.length === 0 ? undefined : named.map((one) => ({ field: one.field, model: check(one, call), upstreamModel: one.id }))
  }
}

/** Throws ApiError 400 for fields that do not say which models they mean. */
function fallbackModelsIn(body: Readonly<Record<string, unknown>>, { named, uncheckable }: FallbackModelFields): NamedFallback[] {
  for (const field of uncheckable) if (isPresent(body[field])) throw uncheckableField(field)
  return named.flatMap((field) => {
    const value = body[field]
    if (!isPresent(value)) return []
    const ids: readonly unknown[] = Array.isArray(value) ? value : [value]
    if (ids.length > maxFallbacks) {
      throw invalidRequest(`'${field}' names ${ids.length} models; the maximum is ${maxFallbacks}.`, {
        code: 'array_above_max_length',
        param: field,
      })
    }
    return ids.map((id) => {
      if (typeof id === 'string') return { field, id }
      throw invalidRequest(`'${field}' must be a model id or a list of model ids.`, { param: field })
    })
  })
}

function isPresent(value: unknown): boolean {
  return value !== undefined && value !== null
}

function uncheckableField(field: string): ApiError {
  return invalidRequest(`'${field}' lets the provider choose another model, which Corral cannot authorize. Remove the field.`, {
    code: 'model_choice_not_allowed',
    param: field,
  })
}
