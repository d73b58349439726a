import type { Principal } from '../call.ts'
import type { ClaimsMapping } from './config.ts'

type PrincipalAttributes = Principal['attributes']

/**
 * The attributes of a principal, from the claims of an identity service. Each claim is looked up along its dots, then by its literal name; lists are
 * taken item by item, texts split at white space, anything else has no effect. Several claims of one attribute add up, without
 * duplicates. Pure. The result has no prototype, so that it has no other attributes.
 */
export function attributesOf(claims: unknown, mapping: ClaimsMapping): PrincipalAttributes {
  const collected = new Map<string, Set<string>>()
  for (const [claim, attribute] of Object.entries(mapping)) {
    const values = valuesOf(claimAt(claims, claim))
    if (values.length === 0) continue
    const known = collected.get(attribute) ?? new Set()
    for (const value of values) known.add(value)
    collected.set(attribute, known)
  }
  return toAttributes([...collected].map(([name, values]) => [name, [...values]]))
}

/** Frozen and without a prototype. */
export function toAttributes(entries: Iterable<readonly [string, readonly string[]]>): PrincipalAttributes {
  const attributes = Object.create(null) as Record<string, readonly string[]>
  for (const [name, values] of entries) attributes[name] = Object.freeze([...values])
  return Object.freeze(attributes)
}

export const noAttributes: PrincipalAttributes = toAttributes([])

/** A claim along the dots of its path, else by its literal name; own properties only. */
export function claimAt(claims: unknown, path: string): unknown {
  let at = claims
  for (const step of path.split('.')) {
    at = own(at, step)
    if (at === undefined) return own(claims, path)
  }
  return at
}

/** A claim at the top level, by its literal name; own properties only. */
export function topLevelClaim(claims: unknown, name: string | undefined): unknown {
  return name === undefined ? undefined : own(claims, name)
}

function own(holder: unknown, name: string): unknown {
  if (typeof holder !== 'object' || holder === null || Array.isArray(holder) || !Object.hasOwn(holder, name)) return undefined
  return (holder as Record<string, unknown>)[name]
}

function valuesOf(claim: unknown): string[] {
  if (typeof claim === 'string') return claim.split(/\s+/).filter((word) => word !== '')
  if (!Array.isArray(claim)) return []
  return claim.flatMap((item) => (typeof item === 'string' && item !== '' ? [item] : typeof item === 'number' ? [String(item)] : []))
}
