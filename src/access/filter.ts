import { type RawBuilder, sql, type SqlBool } from 'kysely'
import { type Principal, systemPrincipal } from '../call.ts'
import { holds, valuesOf } from './conditions.ts'
import type { Condition } from './policy.ts'
import { isStorable } from './owner.ts'
import type { AccessPolicy, CompiledAccessRule, Action } from './policy.ts'

/** Which rows of one table: those on which `principal` may take `action`. */
interface FilterRequest {
  /** Absent: authentication is off. */
  readonly principal: Principal | undefined
  readonly action: Action
  /** The type of all the table's resources, e.g. `model`. */
  readonly type: string
}

interface FilterTable {
  readonly engine: 'sqlite' | 'postgres'
  /** Put before the columns' names, for queries of several tables. */
  readonly table?: string | undefined
  /** The column with the id that policies go by. Default: `id`. */
  readonly idColumn?: string | undefined
}

interface AccessFilter {
  /** For `where()`. Reads `owner_id`, `owner_attributes` (JSON) and the id's column. */
  readonly where: RawBuilder<SqlBool>
  /** False: `where` lets pass rows that `decide()` refuses, but never the other way round; what it lets pass has to be asked about. */
  readonly exact: boolean
}

/** What can be said of a row: always, never, or what SQL finds out. Never SQL's NULL, so that `not` means the opposite. */
type Predicate = boolean | RawBuilder<SqlBool>

/**
 * The policy as a condition of SQL, for one caller: what is known of caller, action and type is worked out here, what depends on the row is left to
 * SQL. Both engines can say everything alike but regular expressions; those become what is sure to hold: `exact` is false then.
 */
export function accessFilter(policy: AccessPolicy, request: FilterRequest, table: FilterTable): AccessFilter {
  const { principal } = request
  if (principal === undefined || principal === systemPrincipal) return { where: asSql(true), exact: true }
  if (!policy.rules) return { where: asSql(true), exact: false }
  const rows = new PolicyTranslator(principal, request, table)
  let allowed: Predicate = false
  let exact = true
  // From the last rule to the first: each says what it can and leaves the rest to those behind it.
  for (const rule of policy.rules.toReversed()) {
    const applies = rows.predicateOf(rule)
    if (applies === false) continue
    if (rule.resource.kind === 'regex') {
      // Whether the rule applies is not known; the most that may be allowed is what it permits, or what it would not forbid.
      const upperBound: Predicate = rule.allows ? or(applies, allowed) : allowed
      if (allowed !== rule.allows) exact = false
      allowed = upperBound
      continue
    }
    if (applies === true) exact = true
    allowed = rule.allows ? or(applies, allowed) : and(not(applies), allowed)
  }
  return { where: asSql(allowed), exact }
}

/** The rows of one table, as one caller's rules see them. */
class PolicyTranslator {
  readonly #principal: Principal
  readonly #request: FilterRequest
  readonly #engine: FilterTable['engine']
  readonly #ownerId: RawBuilder<unknown>
  readonly #ownerAttributes: RawBuilder<unknown>
  readonly #id: RawBuilder<unknown>

  constructor(principal: Principal, request: FilterRequest, { engine, table, idColumn = 'id' }: FilterTable) {
    const column = (name: string) => sql.ref(table === undefined ? name : `${table}.${name}`)
    this.#principal = principal
    this.#request = request
    this.#engine = engine
    this.#ownerId = column('owner_id')
    this.#ownerAttributes = column('owner_attributes')
    this.#id = column(idColumn)
  }

  /** When `rule` applies to a row, its regular expression left out. */
  predicateOf(rule: CompiledAccessRule): Predicate {
    if (!rule.actions.includes(this.#request.action)) return false
    if (rule.principal !== undefined && rule.principal !== this.#principal.id) return false
    const inScope = this.#resource(rule.resource)
    if (rule.mode === 'always') return inScope
    const all = rule.conditions.map((condition) => this.#condition(condition)).reduce(and, true)
    return and(inScope, rule.mode === 'when' ? all : not(all))
  }

  #resource(pattern: CompiledAccessRule['resource']): Predicate {
    if (pattern.kind === 'any' || pattern.kind === 'regex') return true
    const before = `${this.#request.type}::`
    if (!pattern.text.startsWith(before)) return pattern.kind === 'prefix' && before.startsWith(pattern.text)
    const rest = pattern.text.slice(before.length)
    if (!isStorable(rest)) return false
    if (pattern.kind === 'exact') return sql<SqlBool>`${this.#id} = ${rest}`
    // Both engines count characters, not UTF-16 units. Never LIKE, whose wildcards ids may hold, and whose case differs.
    return rest === '' || sql<SqlBool>`substr(${this.#id}, 1, ${Array.from(rest).length}) = ${rest}`
  }

  #condition(condition: Condition): Predicate {
    switch (condition.kind) {
      case 'value':
        return holds(condition, this.#principal, undefined)
      case 'unowned':
        return condition.negated ? sql<SqlBool>`${this.#ownerId} is not null` : sql<SqlBool>`${this.#ownerId} is null`
      case 'owner':
        return condition.negated ? not(this.#isOwner()) : this.#isOwner()
      default:
        return condition.negated ? not(this.#shares(condition.attribute)) : this.#shares(condition.attribute)
    }
  }

  #isOwner(): Predicate {
    if (!isStorable(this.#principal.id)) return false
    return sql<SqlBool>`(${this.#ownerId} is not null and ${this.#ownerId} = ${this.#principal.id})`
  }

  /** Whether a value of the caller's attribute is one of the owner's: as members of JSON lists, not as text. */
  #shares(attribute: string): Predicate {
    const values = valuesOf(this.#principal.attributes, attribute).filter(isStorable)
    if (values.length === 0 || !isStorable(attribute)) return false
    const list = sql.join(values)
    const shared =
      this.#engine === 'postgres'
        ? sql<SqlBool>`coalesce((${this.#ownerAttributes}::jsonb -> ${attribute}::text) ?| array[${list}]::text[], false)`
        : sql<SqlBool>`exists (select 1 from json_each(${this.#ownerAttributes}) as named, json_each(named.value) as listed where named.key = ${attribute} and listed.value in (${list}))`
    return sql<SqlBool>`(${this.#ownerId} is not null and ${shared})`
  }
}

function and(one: Predicate, other: Predicate): Predicate {
  if (one === false || other === false) return false
  if (one === true) return other
  return other === true ? one : sql<SqlBool>`(${one} and ${other})`
}

function or(one: Predicate, other: Predicate): Predicate {
  if (one === true || other === true) return true
  if (one === false) return other
  return other === false ? one : sql<SqlBool>`(${one} or ${other})`
}

function not(predicate: Predicate): Predicate {
  return typeof predicate === 'boolean' ? !predicate : sql<SqlBool>`(not ${predicate})`
}

function asSql(predicate: Predicate): RawBuilder<SqlBool> {
  if (typeof predicate !== 'boolean') return predicate
  return predicate ? sql<SqlBool>`true` : sql<SqlBool>`false`
}
