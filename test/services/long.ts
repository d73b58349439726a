// `npm run test:long [files]`: what `npm test` leaves out because of its cost: the files `*.long.test.ts` (kills, crashes, full disks, real waits) and
// the property tests at their full size. Files that use a database are not among them: `npm run test:services` runs those, at full size too.
import { spawnSync } from 'node:child_process'
import { readdirSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { testsThatImport } from './tests-that-import.ts'

const root = resolve(import.meta.dir, '../..')

function longTests(): string[] {
  const long = readdirSync(join(root, 'test'), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.long.test.ts'))
    .map((name) => join('test', name))
  const elsewhere = new Set(testsThatImport('src/testing/engines.ts'))
  const all = new Set([...long, ...testsThatImport('src/testing/sizes.ts')])
  return [...all].filter((name) => !elsewhere.has(name)).toSorted()
}

const files = process.argv.length > 2 ? process.argv.slice(2) : longTests()
const args = ['test', '--parallel', '--no-isolate', '--timeout=30000', ...files.map((name) => (name.startsWith('/') ? name : `./${name}`))]
const { status } = spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit', env: { ...process.env, CORRAL_TEST_SIZE: 'full' } })
process.exitCode = status ?? 1
