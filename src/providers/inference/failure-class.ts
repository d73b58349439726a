import type { FailureClass } from '../../errors.ts'
import type { UpstreamErrorBody } from './upstream-error-body.ts'

interface FailureRule {
  readonly failure: FailureClass
  /** The provider's statuses for which it holds. An error inside a success has none, so that its text alone decides. */
  readonly statuses: readonly number[]
  /** Patterns of the error's type or code, and of its message: one must match. Both absent: the status is enough. */
  readonly name?: RegExp
  readonly message?: RegExp
}

/** In the order in which they are tried: what the error says goes before its status. */
const rules: readonly FailureRule[] = [
  {
    failure: 'context_length_exceeded',
    statuses: [400, 413, 422],
    name: /context[_-]?(?:length|size|window)|max_prompt_tokens|string_above_max_length/i,
    message:
      /context (?:length|window|size)|(?:prompt|input) is too long|(?:input|prompt) (?:token count|contains)[^.]{0,64} (?:exceeds|too large)|tokens \+ .?max_new_tokens.? must be/i,
  },
  {
    failure: 'content_filtered',
    statuses: [400, 403, 422, 451],
    name: /content[_-]?(?:filter|policy)|responsible[_-]?ai|moderation|inspection_failed/i,
  },
  {
    failure: 'quota_exceeded',
    statuses: [400, 402, 403, 429],
    name: /insufficient[_-]?(?:quota|balance|credits?|funds)|billing|quota[_-]?exceeded/i,
    message: /credit balance is too low|insufficient (?:account )?(?:balance|credits|funds)/i,
  },
  { failure: 'quota_exceeded', statuses: [402] },
  {
    failure: 'rate_limited',
    statuses: [400, 403, 413, 429],
    name: /rate[_-]?limit|too[_-]?many[_-]?requests|throttl/i,
  },
  { failure: 'overloaded', statuses: [429, 500, 502, 503, 529], name: /overload|server[_-]?busy|at[_-]?capacity/i },
  {
    failure: 'credentials_rejected',
    statuses: [400, 401, 403],
    name: /api[_-]?key|authentication|unauthenticated|unauthorized/i,
    message: /(?:invalid|incorrect|expired) (?:api )?key|api key (?:not valid|is invalid|expired)/i,
  },
  { failure: 'credentials_rejected', statuses: [401, 403] },
  { failure: 'timeout', statuses: [408, 504] },
  { failure: 'rate_limited', statuses: [429] },
  { failure: 'overloaded', statuses: [503, 529] },
]

/** Why a provider refused or failed. `status`: the provider's own HTTP status. */
export function failureClassOf(status: number, { type, code, message, status: named }: UpstreamErrorBody): FailureClass {
  const known = status >= 200 && status < 300 ? named : status
  const holds = ({ statuses, name, message: text }: FailureRule): boolean => {
    if (known === undefined ? !name && !text : !statuses.includes(known)) return false
    if (!name && !text) return true
    return (
      [type, code].some((one) => one !== undefined && name?.test(one) === true) || (message !== undefined && text?.test(message) === true)
    )
  }
  return rules.find(holds)?.failure ?? (known === undefined || known >= 500 || known < 400 ? 'server_error' : 'invalid_request')
}
