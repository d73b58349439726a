import { configOption } from './config-options.ts'
import { CommandError, defineCommand, jsonOption } from './command.ts'

export const policyTest = defineCommand({
  name: 'policy test',
  summary: 'Test the policies with a file of cases',
  description:
    'Evaluates every case of a YAML file against the policies of a configuration, without a server, and reports the cases with an unexpected result. Exits with 1 if there are any.\n\nThe file has a list `cases:`. A case has a principal (`as`, `attributes`), either `action` and `resource` (and `owner`) or `path` and `method`, and the expected result: `expect: allow` or `deny`, and optionally the number of the deciding `rule`, counted from 1. See docs/policies.md for an example.',
  arguments: [{ name: 'FILE', description: 'the file of cases', required: true }],
  options: {
    config: configOption,
    json: jsonOption,
  },
  examples: [['In CI', 'corral policy test policy-cases.yaml --config run.yaml']],
  async run({ args: [file = ''], options }, context) {
    const [{ loadChosen, explained }, { readCases }, { explain }, { rulePlaces }] = await Promise.all([
      import('./configuration.ts'),
      import('./policy-cases.ts'),
      import('./policy-query.ts'),
      import('./policy-places.ts'),
    ])
    const { stdout, cwd } = context
    let cases: ReturnType<typeof readCases>
    try {
      cases = readCases(file, cwd)
    } catch (error) {
      throw explained(error)
    }
    const { config, origin } = await loadChosen({ source: options.config, offline: true }, context)
    const placeOf = rulePlaces(origin)
    const results = cases.map(({ query, expect, rule, name, line }) => {
      const got = explain(config, query)
      const passed = got.allowed === (expect === 'allow') && (rule === undefined || rule === got.rule)
      return { name, line, passed, expected: { expect, rule: rule ?? null }, got }
    })
    if (results.length === 0) throw new CommandError(`${file} has no cases.`)
    const failed = results.filter(({ passed }) => !passed)
    if (options.json) {
      stdout.write(`${JSON.stringify({ ok: failed.length === 0, cases: results })}\n`)
      return failed.length === 0 ? 0 : 1
    }
    for (const { name, line, expected, got } of failed) {
      const wanted = expected.rule === null ? expected.expect : `${expected.expect} by rule ${expected.rule}`
      const where = got.rule === null ? '' : ` [${placeOf(got.policy, got.rule)}]`
      stdout.write(
        `${stdout.red('failed')} ${file}:${line} ${name}: expected ${wanted}, got ${got.allowed ? 'allow' : 'deny'}: ${got.reason}${where}\n`,
      )
    }
    const count = `${results.length} case${results.length === 1 ? '' : 's'}`
    stdout.write(failed.length === 0 ? `${stdout.green('passed:')} ${count}\n` : `${stdout.red('failed:')} ${failed.length} of ${count}\n`)
    return failed.length === 0 ? 0 : 1
  },
})
