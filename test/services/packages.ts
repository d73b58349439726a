import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { join } from 'node:path'

/** Absolute paths of the programs that the tests need. */
interface Programs {
  /** The folder of `initdb` and `postgres`. */
  readonly postgres: string
  readonly redis: string
}

/** Finds PostgreSQL and Redis, and installs Debian's packages of what is missing. Throws an Error that says what to do by hand. */
export function findOrInstall(say: (line: string) => void): Programs {
  const missing = [...(findPostgres() ? [] : ['postgresql']), ...(findRedis() ? [] : ['redis-server'])]
  if (missing.length > 0) install(missing, say)
  const [postgres, redis] = [findPostgres(), findRedis()]
  if (!postgres || !redis) throw new Error(`${missing.join(' and ')} is installed, and its programs are nowhere to be found`)
  return { postgres, redis }
}

/** Debian keeps each version's programs in a folder of its own, out of the search path. */
function findPostgres(): string | undefined {
  const versions = '/usr/lib/postgresql'
  const installed = existsSync(versions) ? readdirSync(versions).toSorted((a, b) => Number(b) - Number(a)) : []
  const folders = [...installed.map((version) => join(versions, version, 'bin')), ...searchPath()]
  return folders.find((folder) => existsSync(join(folder, 'initdb')) && existsSync(join(folder, 'postgres')))
}

function findRedis(): string | undefined {
  return searchPath()
    .map((folder) => join(folder, 'redis-server'))
    .find((path) => existsSync(path))
}

function searchPath(): string[] {
  return [...(process.env['PATH'] ?? '').split(':'), '/usr/bin', '/usr/local/bin'].filter((folder) => folder !== '')
}

function install(names: readonly string[], say: (line: string) => void): void {
  const byHand = `apt-get install ${names.join(' ')}`
  const missing = `${names.join(' and ')} ${names.length === 1 ? 'is' : 'are'} missing`
  if (!existsSync('/usr/bin/apt-get')) {
    throw new Error(`${missing}, and this is no Debian: install by the system's own means, so that the programs are in the PATH`)
  }
  if (process.getuid?.() !== 0) throw new Error(`${missing}, and only root may install packages: ${byHand}`)
  say(`installing ${names.join(' and ')}`)
  const options = ['-q', '-y', '-o', 'Acquire::Retries=3', '-o', 'DPkg::Lock::Timeout=120']
  // An older list of packages may name files that the mirror does not have any more.
  apt(['update', ...options], byHand)
  apt(['install', '--no-install-recommends', ...options, ...names], byHand)
}

/** The packages' own services are not started: the tests have theirs. */
function apt(args: readonly string[], byHand: string): void {
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive', RUNLEVEL: '1' }
  const { status } = spawnSync('apt-get', args, { stdio: ['ignore', 'inherit', 'inherit'], env })
  if (status !== 0) throw new Error(`apt-get ${args[0]} failed (exit code ${status}); by hand: ${byHand}`)
}
