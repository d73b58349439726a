import { readFileSync } from 'node:fs'
import { parseConfigText } from '../config/parse.ts'
import { Report } from '../config/report.ts'
import type { ConfigOrigin } from '../config/source.ts'
import { nodeAt } from '../config/tree.ts'
import type { PolicyExplanation } from './policy-query.ts'

/** The position of a rule, its number counted from 1: `run.yaml:14 server.auth.access_policy[2]`; without file and line where there are none. */
export function rulePlaces(origin: ConfigOrigin): (policy: PolicyExplanation['policy'], rule: number) => string {
  const root = origin.path === undefined ? undefined : parseConfigText(readFileSync(origin.path, 'utf8'), new Report(origin.name))
  return (policy, rule) => {
    const index = rule - 1
    const node = root && nodeAt(root, ['server', 'auth', policy, index])
    const path = `server.auth.${policy}[${index}]`
    return node ? `${origin.name}:${node.at.line} ${path}` : path
  }
}
