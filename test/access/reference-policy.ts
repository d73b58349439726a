import type { AccessRequest } from '../../src/access/policy.ts'
import type { AccessRule } from '../../src/access/schema.ts'

/** Llama Stack's rules (behaviour §4), read once more from how they are written, so that the compiled ones can be held against them. */
export function byTheBook(rules: readonly AccessRule[], { principal, action, resource }: AccessRequest): boolean {
  const qualified = `${resource.type}::${resource.id}`
  for (const { permit, forbid, when, unless } of rules) {
    const scope = (permit ?? forbid)!
    const rightUser = (scope.principal ?? principal!.id) === principal!.id
    if (!rightUser || ![scope.actions].flat().includes(action) || !matches(scope.resource ?? undefined, qualified)) continue
    const holdsHere = (condition: string): boolean => holds(condition, { principal, action, resource })
    if (when && ![when].flat().every(holdsHere)) continue
    if (unless && [unless].flat().every(holdsHere)) continue
    return Boolean(permit)
  }
  return false
}

function matches(pattern: string | undefined, qualified: string): boolean {
  if (pattern === undefined) return true
  if (pattern.startsWith('regex:')) {
    const ignoresCase = pattern.includes('(?i)')
    return new RegExp(`^(?:${pattern.slice(6).replace('(?i)', '')})`, ignoresCase ? 'iu' : 'u').test(qualified)
  }
  return pattern.endsWith('*') ? qualified.startsWith(pattern.slice(0, -1)) : qualified === pattern
}

function holds(condition: string, { principal, resource: { owner } }: AccessRequest): boolean {
  if (condition === 'resource is unowned') return owner === undefined
  const words = condition.split(' ')
  const negated = words.includes('not')
  const [, second, third] = words.filter((word) => word !== 'not')
  const name = words.at(-1)!
  if (second === 'is') return (owner?.id === principal!.id) !== negated
  const mine = valuesOf(principal!.attributes, name)
  if (second === 'with') return mine.includes(third!) !== negated
  const theirs = valuesOf(owner?.attributes ?? {}, name)
  return mine.some((one) => theirs.includes(one)) !== negated
}

function valuesOf(attributes: object, name: string): readonly string[] {
  return Object.entries(attributes).flatMap(([key, list]) => (key === name ? (list as string[]) : []))
}
