import * as fc from 'fast-check'
import type { Action, Owner } from '../../src/access/policy.ts'
import type { AccessRule } from '../../src/access/schema.ts'
import type { Principal } from '../../src/call.ts'

/** Few names and values, so that rules, users and rows meet often; some that SQL, JSON and JavaScript treat specially. */
const attributeNames = ['roles', 'teams', 'projects', 'namespaces', 'a"b.c', '__proto__', 'constructor', "it's", 'ключ'] as const
export const values = ['admin', 'x', 'y', '%', '_', "o'hara", 'a"b', 'ü', '', '😀', 'back\\slash', 'adm'] as const
const userIds = ['alice', 'bob', 'carol', '%', 'ALICE'] as const
export const resourceIds = ['m', 'groq/llama-3.3-70b', 'groq/x', 'a::b', 'GROQ/x', "q'uote", 'p%', 'äöü/😀'] as const

/** No space in it: conditions are words. */
const word = (text: string) => text !== '' && !/\s/.test(text)

const attributes = fc
  .array(fc.tuple(fc.constantFrom(...attributeNames), fc.uniqueArray(fc.constantFrom(...values), { maxLength: 3 })), { maxLength: 4 })
  // Not an object literal: `__proto__` is to become a key like others.
  .map((pairs) => Object.fromEntries(pairs))

export const user: fc.Arbitrary<Principal> = fc.record({ id: fc.constantFrom(...userIds), attributes })

export const owner: fc.Arbitrary<Owner | undefined> = fc.option(fc.record({ id: fc.constantFrom(...userIds), attributes }), {
  nil: undefined,
  freq: 3,
})

export const action: fc.Arbitrary<Action> = fc.constantFrom('create', 'read', 'update', 'delete')

const actionList = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Action[]>(['create', 'read', 'update', 'delete']) },
  { weight: 1, arbitrary: fc.uniqueArray(action, { minLength: 1 }) },
  { weight: 1, arbitrary: action },
)

const attribute = fc.constantFrom(...attributeNames.filter(word))
const value = fc.constantFrom(...values.filter(word))

export const condition = fc.oneof(
  fc.constantFrom('user is owner', 'user is not owner', 'resource is unowned'),
  fc.tuple(value, fc.constantFrom('in', 'not in'), attribute).map(([one, isIn, name]) => `user with ${one} ${isIn} ${name}`),
  fc.tuple(fc.constantFrom('in', 'not in'), attribute).map(([isIn, name]) => `user ${isIn} owners ${name}`),
)

const conditions = fc.oneof(condition, fc.array(condition, { minLength: 1, maxLength: 3 }))

const plainResource = fc.oneof(
  fc.constant(undefined),
  fc.constant('model::*'),
  fc.constant('sql_record::*'),
  fc.constant('sql_record::openai_files::*'),
  fc.constantFrom(...resourceIds).map((id) => `model::${id}`),
  fc.constantFrom('model::groq/*', 'model::ä*', 'model::a::*', 'model::p%*'),
)

const regexResource = fc.constantFrom(
  'regex:model::groq/',
  'regex:.*::[a-p]',
  'regex:model::.*x$',
  'regex:(?i)model::groq',
  'regex:sql_record',
  'regex:',
)

const ruleWith = (resource: fc.Arbitrary<string | undefined>): fc.Arbitrary<AccessRule> =>
  fc
    .record({
      allows: fc.boolean(),
      principal: fc.option(fc.constantFrom(...userIds), { nil: undefined, freq: 2 }),
      actions: actionList,
      resource,
      mode: fc.constantFrom('always', 'when', 'when', 'unless'),
      conditions,
    })
    .map(({ allows, mode, principal, actions, resource: of, conditions: texts }) => ({
      [allows ? 'permit' : 'forbid']: { actions, ...(principal !== undefined && { principal }), ...(of !== undefined && { resource: of }) },
      ...(mode !== 'always' && { [mode]: texts }),
    }))

/** Rules of which SQL can say everything. */
export const plainRules = fc.array(ruleWith(plainResource), { maxLength: 6 })
/** And with regular expressions among them. */
export const anyRules = fc.array(ruleWith(fc.oneof(plainResource, regexResource)), { maxLength: 6 })

export const resource = fc.record({
  type: fc.constantFrom('model', 'model', 'model', 'sql_record::openai_files', 'file'),
  id: fc.constantFrom(...resourceIds),
  owner,
})
