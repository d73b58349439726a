import { describe, expect, test } from 'bun:test'
import * as fc from 'fast-check'
import { compileAccessPolicy } from '../../src/access/access-policy.ts'
import { compileRoutePolicy } from '../../src/access/route-policy.ts'
import { accessPolicySchema, routePolicySchema } from '../../src/access/schema.ts'
import { routes } from '../../src/api/index.ts'
import { anyRules } from './generate.ts'

/** `path: message` of everything that is wrong. */
function complaints(schema: typeof accessPolicySchema | typeof routePolicySchema, rules: unknown): string[] {
  const { error } = schema.safeParse(rules)
  return error ? error.issues.map(({ path, message }) => `${path.join('.')}: ${message}`) : []
}

const actions = ['read']

const accessMistakes: [rule: object, complaint: string][] = [
  [{ permit: { actions }, forbid: { actions } }, '0.forbid: permit and forbid are mutually exclusive'],
  [{ when: 'user is owner' }, '0: one of permit and forbid is required'],
  [{ permit: { actions }, when: 'user is owner', unless: 'user is owner' }, '0.unless: when and unless are mutually exclusive'],
  [{ permit: { actions }, when: 'user is own' }, '0.when: Invalid condition: user is own'],
  [{ permit: { actions }, when: 'User is owner' }, '0.when: Invalid condition: User is owner'],
  [{ permit: { actions }, when: ['user is owner', 'user has admin in roles'] }, '0.when.1: Invalid condition: user has admin in roles'],
  [{ permit: { actions }, unless: 'resource is owned' }, '0.unless: Invalid condition: resource is owned'],
  [{ permit: { actions }, when: [] }, '0.when: must have at least one entry'],
  [{ permit: { actions: 'raed' } }, "0.permit.actions: unknown action 'raed': create, read, update or delete"],
  [{ permit: { actions: ['read', 'write'] } }, "0.permit.actions.1: unknown action 'write': create, read, update or delete"],
  [{ permit: { actions: [] } }, '0.permit.actions: must have at least one entry'],
  [{ permit: { actions, resource: 'model' } }, "0.permit.resource: must be 'type::id', 'type::*' or 'regex:…'"],
  [{ permit: { actions, resource: '*' } }, "0.permit.resource: must be 'type::id', 'type::*' or 'regex:…'"],
  [{ permit: { actions, resource: 'model::' } }, "0.permit.resource: must be 'type::id', 'type::*' or 'regex:…'"],
  [{ permit: { actions, resource: 'regex:model::(' } }, "0.permit.resource: invalid regular expression: a '(' without its ')'"],
  [{ permit: { actions, resource: 'model::*gpt' } }, "0.permit.resource: '*' is allowed only at the end: use 'regex:…' for other patterns"],
]

const routeMistakes: [rule: object, complaint: string][] = [
  [{ forbid: { paths: 'regex:/v1/[' } }, "0.forbid.paths: invalid regular expression: a '[' without its ']'"],
  [{ forbid: { paths: ['/ok', 'v1/models'] } }, "0.forbid.paths.1: must begin with '/' (or be '*', or 'regex:…')"],
  [{ forbid: { paths: '/v1/*/x' } }, "0.forbid.paths: '*' is allowed only at the end: use 'regex:…' for other patterns"],
  [
    { forbid: { paths: '/v1/models/{id}' } },
    "0.forbid.paths: '{id}' is taken literally and cannot match: use '*' at the end, or 'regex:…' ([^/]+ is one segment)",
  ],
  [
    { forbid: { paths: '/v1/models/:id' } },
    "0.forbid.paths: ':id' is taken literally and cannot match: use '*' at the end, or 'regex:…' ([^/]+ is one segment)",
  ],
  [{ forbid: { paths: '/V1/chat/completions' } }, "0.forbid.paths: no route has 'V1'; paths are case-sensitive: write 'v1'"],
  [{ forbid: { paths: '/v1/Models*' } }, "0.forbid.paths: no route has 'Models'; paths are case-sensitive: write 'models'"],
  [
    { forbid: { paths: '/v1/chat/Completions' } },
    "0.forbid.paths: no route has 'Completions'; paths are case-sensitive: write 'completions'",
  ],
  [{ forbid: { paths: '/v1alpha/admin/Keys' } }, "0.forbid.paths: no route has 'Keys'; paths are case-sensitive: write 'keys'"],
  [
    { forbid: { paths: '/v1/../v1/embeddings' } },
    "0.forbid.paths: paths are normalized and have no '.' or '..' segments, so this cannot match: write the normalized path",
  ],
  [
    { forbid: { paths: '/v1/%2e%2E/v1/embeddings*' } },
    "0.forbid.paths: paths are normalized and have no '.' or '..' segments, so this cannot match: write the normalized path",
  ],
  [
    { forbid: { paths: '/v1/models?x' } },
    "0.forbid.paths: '?' and what follows it are not part of a path, so this cannot match: remove it",
  ],
  [
    { forbid: { paths: '/v1/models#x' } },
    "0.forbid.paths: '#' and what follows it are not part of a path, so this cannot match: remove it",
  ],
  [{ forbid: { paths: '/v1/100%' } }, "0.forbid.paths: invalid percent-encoding: write '%25' for a literal '%'"],
  [{ forbid: { paths: '/v1\\models' } }, "0.forbid.paths: a path cannot contain '\\': use '/'"],
  [{ forbid: { paths: 'regex:v1/models' } }, "0.forbid.paths: cannot match any path: paths begin with '/'"],
  [{ forbid: { paths: [] } }, '0.forbid.paths: must have at least one entry'],
  [{ forbid: { paths: '/x', methods: 'HEAD' } }, '0.forbid.methods: HEAD counts as GET: write GET'],
  [{ forbid: { paths: '/x', methods: ['GOT'] } }, "0.forbid.methods.0: unknown method 'GOT': GET, POST, PUT, PATCH, DELETE or OPTIONS"],
  [
    { permit: { paths: '/x' }, when: 'user is owner' },
    "0.when: Invalid condition: user is owner (a route has no owner: only 'user with VALUE in ATTRIBUTE' and 'user with VALUE not in ATTRIBUTE' are allowed here)",
  ],
  [{ permit: { paths: '/x' }, when: 'invalid' }, '0.when: Invalid condition: invalid'],
]

describe('access_policy', () => {
  test('[POL-14] Llama Stack’s forms are taken as they are', () => {
    const rules = [
      { permit: { principal: 'user-1', actions: ['create', 'read', 'delete'] }, description: 'user-1 has full access' },
      { permit: { actions: 'read' }, when: 'user in owners teams' },
      { permit: { actions: ['read', 'update'], resource: 'vector_store::*' }, when: ['user with admin in roles', 'user is owner'] },
      { forbid: { actions: ['delete'], resource: 'sql_record::openai_files::f-1' }, unless: 'user with admin in roles' },
      { permit: { actions: ['read'], resource: 'regex:model::(gpt|claude)' }, when: null, unless: null, description: null, forbid: null },
    ]
    expect(complaints(accessPolicySchema, rules)).toEqual([])
    expect(compileAccessPolicy(accessPolicySchema.parse(rules)).rules).toHaveLength(5)
  })

  test.each(accessMistakes)('[POL-15] %j is a mistake', (rule, complaint) => {
    expect(complaints(accessPolicySchema, [rule])).toEqual([complaint])
  })

  test('[POL-15] an unknown type, an unknown key', () => {
    expect(complaints(accessPolicySchema, [{ permit: { actions, resource: 'modle::x' } }])[0]).toStartWith(
      "0.permit.resource: unknown resource type 'modle'",
    )
    expect(complaints(accessPolicySchema, [{ permit: { action: ['read'] } }]).join()).toContain('action')
    expect(complaints(accessPolicySchema, [{ permit: { actions }, whenever: 'x' }]).join()).toContain('whenever')
  })

  test('what the schema takes compiles', () => {
    fc.assert(
      fc.property(anyRules, (rules) => {
        expect(compileAccessPolicy(accessPolicySchema.parse(rules)).rules).toBeDefined()
      }),
    )
  })
})

describe('route_policy', () => {
  test('[RTE-9] Llama Stack’s forms are taken as they are, and methods besides', () => {
    const rules = [
      { permit: { paths: ['/v1/chat/completions', '/v1/models*'] }, when: 'user with developer in roles', description: 'developers' },
      { permit: { paths: '*' }, when: ['user with admin in roles'] },
      { forbid: { paths: 'regex:^/v1/(files|batches)', methods: ['POST', 'delete'] }, unless: 'user with writer not in roles' },
    ]
    expect(complaints(routePolicySchema, rules)).toEqual([])
    expect(compileRoutePolicy(routePolicySchema.parse(rules)).rules).toHaveLength(3)
  })

  test.each(routeMistakes)('[RTE-10] %j is a mistake', (rule, complaint) => {
    expect(complaints(routePolicySchema, [rule])).toEqual([complaint])
  })

  test('[RTE-10] every route there is can be named, and so can ids with capitals', () => {
    const paths = routes.map(({ path }) => path.replaceAll(/\{[^}]+\}/g, 'Some-Id'))
    const older = paths.filter((path) => path.startsWith('/v1/')).map((path) => `/v1/openai${path}`)
    expect(complaints(routePolicySchema, [{ forbid: { paths: [...paths, ...older] } }])).toEqual([])
  })
})
