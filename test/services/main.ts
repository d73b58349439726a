// `npm run test:services [files]`: PostgreSQL and Redis for the tests that talk to them, and Prometheus' checker. Installs what is missing, starts
// both on free ports in temporary folders, runs the tests at full size, stops everything whatever happens, and exits as the tests do.
import { spawn } from 'node:child_process'
import { resolve } from 'node:path'
import { findOrInstall } from './packages.ts'
import { startPostgres } from './postgres.ts'
import { findOrFetchPromtool } from './promtool.ts'
import { startRedis } from './redis.ts'
import { testsThatImport } from './tests-that-import.ts'

const root = resolve(import.meta.dir, '../..')

function run(tests: readonly string[], env: Readonly<Record<string, string>>): Promise<number> {
  const { promise, resolve: ended } = Promise.withResolvers<number>()
  const args = ['test', '--parallel', '--timeout=60000', ...tests.map((name) => (name.startsWith('/') ? name : `./${name}`))]
  const child = spawn(process.execPath, args, { cwd: root, stdio: 'inherit', env: { ...process.env, ...env } })
  const stop = (signal: NodeJS.Signals) => child.kill(signal)
  process.once('SIGINT', stop)
  process.once('SIGTERM', stop)
  child.on('close', (code) => ended(code ?? 1))
  return promise
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

async function main(): Promise<number> {
  const tests = process.argv.length > 2 ? process.argv.slice(2) : testsThatImport('src/testing/engines.ts')
  if (tests.length === 0) throw new Error('there are no tests that ask testing/engines.ts')
  const programs = findOrInstall(say)
  const fetching = findOrFetchPromtool(say)
  await using postgres = await startPostgres(programs.postgres)
  await using redis = await startRedis(programs.redis)
  const promtool = await fetching
  say(`PostgreSQL and Redis are running; ${tests.length} test files`)
  return await run(tests, {
    CORRAL_TEST_SIZE: 'full',
    CORRAL_TEST_POSTGRES: postgres.url,
    CORRAL_TEST_POSTGRES_CA: postgres.ca,
    CORRAL_TEST_REDIS: redis.url,
    ...(promtool !== undefined && { CORRAL_TEST_PROMTOOL: promtool }),
  })
}

try {
  process.exitCode = await main()
} catch (error) {
  process.stderr.write(`error: ${error instanceof Error ? error.message : String(error)}\n`)
  process.exitCode = 1
}
