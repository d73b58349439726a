import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { z } from 'zod'
import { actions } from '../access/policy.ts'
import { parseConfigText } from '../config/parse.ts'
import { ConfigErrors, inFileOrder, Report } from '../config/report.ts'
import { child, isEmpty } from '../config/tree.ts'
import { validate } from '../config/validate.ts'
import { CommandError } from './command.ts'
import { accessQuery, type PolicyQuery, readResource, routeQuery } from './policy-query.ts'

/** One case of a file for `corral policy test`. */
interface PolicyCase {
  readonly name: string
  readonly line: number
  readonly query: PolicyQuery
  readonly expect: 'allow' | 'deny'
  /** The rule that is to decide, counted from 1. */
  readonly rule: number | undefined
}

const attributes = z.record(z.string(), z.union([z.string(), z.array(z.string())])).nullish()

const caseSchema = z
  .strictObject({
    name: z.string().nullish(),
    as: z.string().nullish(),
    attributes,
    action: z.enum(actions).nullish(),
    resource: z.string().nullish(),
    owner: z.strictObject({ as: z.string(), attributes }).nullish(),
    method: z.string().nullish(),
    path: z.string().nullish(),
    expect: z.enum(['allow', 'deny']),
    rule: z.int().min(1).nullish(),
  })
  .superRefine((one, context) => {
    const complain = (key: string, message: string) => context.addIssue({ code: 'custom', path: [key], message })
    const ofAccess = one.action != null || one.resource != null
    if (ofAccess === (one.path != null)) complain('expect', "expected either 'action' and 'resource', or 'path'")
    if (ofAccess && (one.action == null || one.resource == null)) complain('expect', "'action' and 'resource' are required together")
    if (ofAccess && one.as == null) complain('expect', "the access policy needs a principal: 'as' is required")
    if (one.resource != null && !readResource(one.resource)) complain('resource', "must be 'type::id'")
    if (one.owner != null && !ofAccess) complain('owner', 'a route has no owner')
    if (one.path != null && !one.path.startsWith('/')) complain('path', "must begin with '/'")
    if (one.as == null && one.attributes != null) complain('attributes', "describe the principal: 'as' is missing")
  })

const fileSchema = z.strictObject({ cases: z.array(caseSchema) })

/** Throws ConfigErrors with everything that is wrong, CommandError if the file does not exist. */
export function readCases(file: string, cwd: string): readonly PolicyCase[] {
  const report = new Report(file)
  const text = textOf(file, cwd)
  const remedy = 'Write the cases as a list under `cases:`; see `corral help policy test` and docs/policies.md.'
  if (text.split('\n').every((line) => /^\s*(#|$)/.test(line))) throw new CommandError(`${file} is empty.`, { remedy })
  const root = parseConfigText(text, report)
  const listed = child(root, 'cases')
  if (root && !listed) throw new CommandError(`${file} has no \`cases:\`.`, { remedy })
  if (listed && isEmpty(listed)) throw new CommandError(`${file} has no cases.`, { remedy })
  const values = root && validate(root, fileSchema, { report, strictness: 'strict' })
  if (report.errors.length > 0 || !values) throw new ConfigErrors(inFileOrder(report.errors))
  const items = child(root, 'cases')
  return values.cases.map((one, at) => ({
    name: one.name ?? `case ${at + 1}`,
    line: (items?.kind === 'list' ? items.items[at]?.at.line : undefined) ?? 0,
    query: queryOf(one),
    expect: one.expect,
    rule: one.rule ?? undefined,
  }))
}

function textOf(file: string, cwd: string): string {
  try {
    return readFileSync(resolve(cwd, file), 'utf8')
  } catch (error) {
    throw new CommandError(`${file} cannot be read: ${(error as Error).message}`, { cause: error })
  }
}

function queryOf(one: z.output<typeof caseSchema>): PolicyQuery {
  const principal = one.as == null ? undefined : { id: one.as, attributes: lists(one.attributes) }
  if (one.path != null) return routeQuery(principal, one.method ?? 'GET', one.path)
  return accessQuery({
    principal,
    action: one.action!,
    resource: readResource(one.resource!)!,
    owner: one.owner == null ? undefined : { id: one.owner.as, attributes: lists(one.owner.attributes) },
  })
}

function lists(given: z.output<typeof attributes>): Record<string, string[]> {
  return Object.fromEntries(Object.entries(given ?? {}).map(([name, values]) => [name, [values].flat()]))
}
