import type { Principal } from '../call.ts'
import type { Condition, Owner } from './policy.ts'

const grammar: readonly (readonly [RegExp, (first: string, second: string) => Condition])[] = [
  [/^user is owner$/, () => ({ kind: 'owner', negated: false })],
  [/^user is not owner$/, () => ({ kind: 'owner', negated: true })],
  [/^user with (\S+) in (\S+)$/, (value, attribute) => ({ kind: 'value', value, attribute, negated: false })],
  [/^user with (\S+) not in (\S+)$/, (value, attribute) => ({ kind: 'value', value, attribute, negated: true })],
  [/^user in owners (\S+)$/, (attribute) => ({ kind: 'shared', attribute, negated: false })],
  [/^user not in owners (\S+)$/, (attribute) => ({ kind: 'shared', attribute, negated: true })],
  [/^resource is unowned$/, () => ({ kind: 'unowned', negated: false })],
]

/** Words, any space between them; attributes are whatever the authenticators give. Throws an Error `Invalid condition: …`. */
export function parseCondition(text: string): Condition {
  const words = text.trim().split(/\s+/).join(' ')
  for (const [form, read] of grammar) {
    const found = form.exec(words)
    if (found) return read(found[1] ?? '', found[2] ?? '')
  }
  throw new Error(`Invalid condition: ${words === '' ? 'empty' : words}`)
}

/** Whether it depends on the user only, and so is allowed where there is no resource: in `route_policy`. */
export function isAboutUserAlone(condition: Condition): condition is Extract<Condition, { kind: 'value' }> {
  return condition.kind === 'value'
}

/**
 * Whether `condition` holds for this user and a resource of this owner. Attributes are sets, and one that is missing is the empty set: a
 * positive form never holds by what is missing, and each negated form is exactly its positive form's opposite. A resource without owner
 * is unowned: `user is owner` and `user in owners …` do not hold, their opposites do.
 */
export function holds(condition: Condition, user: Pick<Principal, 'id' | 'attributes'>, owner: Owner | undefined): boolean {
  switch (condition.kind) {
    case 'owner':
      return (owner !== undefined && owner.id === user.id) !== condition.negated
    case 'value':
      return valuesOf(user.attributes, condition.attribute).includes(condition.value) !== condition.negated
    case 'shared':
      return sharesValue(user, owner, condition.attribute) !== condition.negated
    default:
      return (owner === undefined) !== condition.negated
  }
}

/** True where there are none. Every request asks: no function is made for it. */
export function allHold(conditions: readonly Condition[], user: Pick<Principal, 'id' | 'attributes'>, owner: Owner | undefined): boolean {
  for (const condition of conditions) if (!holds(condition, user, owner)) return false
  return true
}

/** False where there are none. */
export function anyHolds(conditions: readonly Condition[], user: Pick<Principal, 'id' | 'attributes'>, owner: Owner | undefined): boolean {
  for (const condition of conditions) if (holds(condition, user, owner)) return true
  return false
}

function sharesValue(user: Pick<Principal, 'attributes'>, owner: Owner | undefined, attribute: string): boolean {
  if (!owner) return false
  const theirs = valuesOf(owner.attributes, attribute)
  return theirs.length > 0 && valuesOf(user.attributes, attribute).some((value) => theirs.includes(value))
}

/** The values of an attribute; none where it is missing, or is a name that every object has. */
export function valuesOf(attributes: Principal['attributes'], attribute: string): readonly string[] {
  return Object.hasOwn(attributes, attribute) ? (attributes[attribute] ?? []) : []
}

/** As it is written in a policy. */
export function formatCondition(condition: Condition): string {
  switch (condition.kind) {
    case 'owner':
      return condition.negated ? 'user is not owner' : 'user is owner'
    case 'value':
      return `user with ${condition.value} ${condition.negated ? 'not in' : 'in'} ${condition.attribute}`
    case 'shared':
      return `user ${condition.negated ? 'not in' : 'in'} owners ${condition.attribute}`
    default:
      return condition.negated ? 'resource is owned' : 'resource is unowned'
  }
}
