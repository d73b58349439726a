import { describe, expect, test } from 'bun:test'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { compileAccessPolicy } from '../../src/access/access-policy.ts'
import { compileRoutePolicy } from '../../src/access/route-policy.ts'
import { accessPolicySchema, routePolicySchema } from '../../src/access/schema.ts'
import { root } from '../architecture/source.ts'

const page = readFileSync(join(root, 'docs/policies.md'), 'utf8')

interface Policies {
  access_policy?: unknown
  route_policy?: unknown
}

const blocks = [...page.matchAll(/```yaml\n(.*?)```/gs)]
  .map(([, text = '']) => parse(text) as Policies & { server?: { auth?: Policies } })
  .map((block) => block?.server?.auth ?? block)
  .filter((block) => block?.access_policy ?? block?.route_policy)

describe('docs/policies.md', () => {
  test('its examples are policies', () => {
    expect(blocks.length).toBeGreaterThanOrEqual(4)
    for (const { access_policy: access, route_policy: routes } of blocks) {
      if (access) expect(compileAccessPolicy(accessPolicySchema.parse(access)).isDefault).toBe(false)
      if (routes) expect(compileRoutePolicy(routePolicySchema.parse(routes)).rules).not.toEqual([])
    }
  })

  test('two teams see what the example says', () => {
    const example = blocks.find(({ access_policy: access }) => JSON.stringify(access ?? '').includes('product in teams'))
    const policy = compileAccessPolicy(accessPolicySchema.parse(example?.access_policy))
    const sees = (team: string, id: string) =>
      policy.decide({ principal: { id: 'x', attributes: { teams: [team] } }, action: 'read', resource: { type: 'model', id } }).allowed
    const models = ['groq/llama-3.3-70b', 'groq/other', 'openai/gpt-5']
    expect(models.map((id) => sees('research', id))).toEqual([true, false, true])
    expect(models.map((id) => sees('product', id))).toEqual([true, true, false])
    expect(models.map((id) => sees('none', id))).toEqual([true, false, false])
  })

  test('users who only read, read their own and their team’s', () => {
    const example = blocks.find(({ access_policy: access }) => JSON.stringify(access ?? '').includes('user not in owners teams'))
    const policy = compileAccessPolicy(accessPolicySchema.parse(example?.access_policy))
    const user = { id: 'x', attributes: { teams: ['a'] } }
    const may = (action: 'read' | 'delete', owner: { id: string; attributes: Record<string, string[]> } | undefined) =>
      policy.decide({ principal: user, action, resource: { type: 'model', id: 'm', owner } }).allowed
    const owners = [undefined, user, { id: 'y', attributes: { teams: ['a'] } }, { id: 'y', attributes: { teams: ['b'] } }]
    expect(owners.map((owner) => may('read', owner))).toEqual([true, true, true, false])
    expect(owners.map((owner) => may('delete', owner))).toEqual([false, false, false, false])
  })
})
