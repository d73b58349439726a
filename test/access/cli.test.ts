import { afterAll, beforeAll, describe, expect, test } from 'bun:test'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { inProcess, temporaryFolder } from '../cli/corral.ts'

let folder: ReturnType<typeof temporaryFolder>
const env = { ADMIN_ROLE: 'admin' }

const config = `version: 2
providers:
  inference:
    - { provider_id: groq, provider_type: remote::groq, config: { api_key: k } }
server:
  auth:
    provider_config: { type: github_token }
    route_policy:
      - permit: { paths: ["/v1/chat/completions", "/v1/models*"], methods: [GET, POST] }
        when: user with dev in roles
      - permit: { paths: "*" }
        when: user with \${env.ADMIN_ROLE} in roles
    access_policy:
      - forbid: { actions: read, resource: "model::groq/big" }
        unless: user with admin in roles
        description: too dear
      - permit: { actions: [create, read, update, delete] }
        when: user is owner
      - permit: { actions: read, resource: "model::*" }
`

beforeAll(() => {
  folder = temporaryFolder()
  writeFileSync(join(folder.path, 'run.yaml'), config)
  writeFileSync(join(folder.path, 'open.yaml'), 'version: 2\nproviders: {}\n')
})
afterAll(() => folder[Symbol.dispose]())

const run = (...words: string[]) => inProcess(['policy', ...words], { cwd: folder.path, env })
const explain = (...words: string[]) => run('explain', 'run.yaml', ...words)
async function check(cases: string, ...words: string[]) {
  writeFileSync(join(folder.path, 'cases.yaml'), cases)
  return run('test', 'cases.yaml', '--config', 'run.yaml', ...words)
}

const about = (id: string) => explain('--as', 'ann', '--action', 'read', '--resource', `model::${id}`)

describe('corral policy explain', () => {
  test('[POL-22] names the rule that decides, where it stands, and why the ones before did not', async () => {
    const refused = await explain('--as', 'ann', '--attribute', 'roles=dev', '--action', 'read', '--resource', 'model::groq/big')
    expect([refused.code, refused.stdout]).toEqual([
      0,
      'denied: rule 1 forbids it (too dear)\n  run.yaml:14 server.auth.access_policy[0]\n',
    ])
    const allowed = await explain('--as', 'ann', '--attribute', 'roles=admin', '--action', 'read', '--resource', 'model::groq/big')
    expect(allowed.stdout).toBe(
      [
        'allowed: rule 3 permits it',
        '  run.yaml:19 server.auth.access_policy[2]',
        '',
        'Rules that did not apply:',
        "  run.yaml:14 server.auth.access_policy[0]: 'user with admin in roles' holds",
        "  run.yaml:17 server.auth.access_policy[1]: 'user is owner' does not hold",
        '',
      ].join('\n'),
    )
    const hers = await explain('--as', 'ann', '--action', 'delete', '--resource', 'model::x', '--owner', 'ann')
    expect(hers.stdout).toStartWith('allowed: rule 2 permits it\n')
    const nobodys = await explain('--as', 'ann', '--action', 'delete', '--resource', 'model::x')
    expect(nobodys.stdout).toStartWith('denied: no rule applies\n')
  })

  test('[POL-22] the same for routes', async () => {
    const listed = await explain('--as', 'ann', '--attribute', 'roles=dev', '--path', '/v1/openai/v1/models?x=1')
    expect(listed.stdout).toBe('allowed: rule 1 permits it\n  run.yaml:9 server.auth.route_policy[0]\n')
    const removed = await explain('--as', 'ann', '--attribute', 'roles=dev', '--method', 'DELETE', '--path', '/v1/models/x')
    expect(removed.stdout).toContain('denied: no rule applies')
    expect(removed.stdout).toContain('route_policy[0]: it is about GET, POST')
    const anonymous = await explain('--path', '/v1/models')
    expect(anonymous.stdout).toContain('its conditions are about a user, and there is none')
    const admin = await explain('--as', 'root', '--attribute', 'roles=admin', '--path', '/anything')
    expect(admin.stdout).toStartWith('allowed: rule 2 permits it')
  })

  test('prints JSON', async () => {
    const { stdout } = await explain('--as', 'ann', '--action', 'read', '--resource', 'model::x', '--json')
    expect(JSON.parse(stdout)).toEqual({
      policy: 'access_policy',
      allowed: true,
      rule: 3,
      reason: 'rule 3 permits it',
      skipped: [
        { rule: 1, why: 'it is about other resources' },
        { rule: 2, why: "'user is owner' does not hold" },
      ],
      place: 'run.yaml:19 server.auth.access_policy[2]',
    })
  })

  test('says when no provider can have such a model', async () => {
    expect((await about('secret/model')).stderr).toContain("no provider 'secret' is configured (groq)")
    for (const id of ['groq/model', 'alias']) expect((await about(id)).stderr).toBe('')
  })

  test('says when the access policy is never asked', async () => {
    const output = await run('explain', 'open.yaml', '--as', 'ann', '--action', 'read', '--resource', 'model::x')
    expect(output.stdout).toBe('allowed: the default policy: resource is unowned\n')
    expect(output.stderr).toContain('has no authentication')
  })

  test.each([
    [[], 'Pass either --action'],
    [['--action', 'read', '--resource', 'model::x', '--path', '/x'], 'Pass either --action'],
    [['--action', 'read'], 'are required together'],
    [['--as', 'a', '--action', 'read'], 'are required together'],
    [['--action', 'read', '--resource', 'model::x'], 'requires a principal: pass --as'],
    [['--as', 'a', '--action', 'read', '--resource', 'modle::x'], "Unknown resource type 'modle'. Known types: model, "],
    [['--as', 'a', '--action', 'read', '--resource', 'model'], "expected 'type::id'"],
    [['--as', 'a', '--action', 'read', '--resource', 'model::'], "expected 'type::id'"],
    [['--as', 'a', '--attribute', 'roles', '--path', '/x'], 'expected NAME=VALUE'],
    [['--attribute', 'roles=a', '--path', '/x'], '--attribute requires --as'],
    [['--path', 'v1/models'], "expected a path that begins with '/'"],
    [['--as', 'a', '--action', 'see', '--resource', 'model::x'], 'see'],
  ])('%j is a mistake', async (words, message) => {
    const { code, stderr } = await explain(...words)
    expect([code, stderr]).toEqual([2, expect.stringContaining(message)])
  })
})

describe('corral policy test', () => {
  const passing = `cases:
  - { as: ann, attributes: { roles: admin }, action: read, resource: "model::groq/big", expect: allow, rule: 3 }
  - { as: ann, action: read, resource: "model::groq/big", expect: deny, rule: 1 }
  - { as: ann, action: delete, resource: "model::x", owner: { as: ann, attributes: { teams: [a] } }, expect: allow }
  - { name: developers list, as: ann, attributes: { roles: [dev] }, path: /v1/models, expect: allow }
  - { path: /v1/models, method: GET, expect: deny }
`

  test('[POL-23] passes, and fails with exit code 1 where the outcome is another', async () => {
    expect(await check(passing)).toMatchObject({ code: 0, stdout: 'passed: 5 cases\n' })
    const failing = `${passing}  - name: nobody deletes
    { as: ann, action: delete, resource: "model::x", expect: allow }
`
    const wrong = failing.replace('  - name: nobody deletes\n    { as', '  - { name: nobody deletes, as')
    const output = await check(wrong.replace('expect: deny, rule: 1', 'expect: deny, rule: 2'))
    expect(output.code).toBe(1)
    expect(output.stdout.split('\n')).toEqual([
      'failed cases.yaml:3 case 2: expected deny by rule 2, got deny: rule 1 forbids it (too dear) [run.yaml:14 server.auth.access_policy[0]]',
      'failed cases.yaml:7 nobody deletes: expected allow, got deny: no rule applies',
      'failed: 2 of 6 cases',
      '',
    ])
  })

  test('prints JSON', async () => {
    const { stdout, code } = await check(passing, '--json')
    const report = JSON.parse(stdout) as { ok: boolean; cases: { passed: boolean }[] }
    expect([code, report.ok, report.cases.map(({ passed }) => passed)]).toEqual([0, true, [true, true, true, true, true]])
  })

  test.each([
    ['cases:\n  - { as: a, action: read, resource: "model::x" }', 'cases[0].expect'],
    ['cases:\n  - { as: a, action: read, resource: "model::x", expect: maybe }', 'cases[0].expect'],
    ['cases:\n  - { as: a, action: read, expect: deny }', 'are required together'],
    ['cases:\n  - { action: read, resource: "model::x", expect: deny }', "'as' is required"],
    ['cases:\n  - { as: a, path: /x, action: read, resource: "model::x", expect: deny }', 'either'],
    ['cases:\n  - { as: a, path: /x, expect: deny, rules: 1 }', "Did you mean 'rule'?"],
    ['cases:\n  - { as: a, action: read, resource: x, expect: deny }', "must be 'type::id'"],
    ['cases: []', 'has no cases'],
    ['cases:', 'has no cases'],
    ['', 'is empty.'],
    ['# later\n\n', 'is empty.'],
    ['foo: 1', 'has no `cases:`'],
    ['- { as: a, path: /x, expect: deny }', 'cases.yaml'],
  ])('%j is a mistake', async (cases, message) => {
    const { code, stderr, stdout } = await check(cases)
    expect([code, stderr + stdout]).toEqual([1, expect.stringContaining(message)])
  })

  test('a file that is not there', async () => {
    expect(await run('test', 'none.yaml', '--config', 'run.yaml')).toMatchObject({ code: 1, stderr: expect.stringContaining('none.yaml') })
  })
})
