// Finds the Bun that `npm ci` brought. The `bun` package's own launcher is put in place by an install script, which npm may block;
// the platform packages (@oven/bun-*) carry the program itself and need no script.
import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'

const require = createRequire(import.meta.url)

/** @returns {string} the path of the Bun program; throws an Error that says what to do when there is none. */
export function findBun() {
  const { platform, arch } = process
  const os = platform === 'win32' ? 'windows' : platform
  const cpu = arch === 'arm64' ? 'aarch64' : arch
  const program = platform === 'win32' ? 'bun.exe' : 'bun'
  for (const name of [`${os}-${cpu}`, `${os}-${cpu}-musl`, `${os}-${cpu}-baseline`, `${os}-${cpu}-musl-baseline`]) {
    try {
      const path = join(dirname(require.resolve(`@oven/bun-${name}/package.json`)), 'bin', program)
      if (existsSync(path) && runs(path)) return path
    } catch (error) {
      if (error.code !== 'MODULE_NOT_FOUND') throw error
    }
  }
  throw new Error(
    `Corral found no Bun for ${platform}-${arch}. Run \`npm ci\` (with optional dependencies) in the folder that holds Corral's package.json; ` +
      'Linux, macOS and Windows on x64 or arm64 are supported.',
  )
}

/** A musl build does not start on a glibc system and the other way round; with both installed, take the one that fits. */
function runs(path) {
  if (process.platform !== 'linux') return true
  const musl = !process.report?.getReport().header.glibcVersionRuntime
  return path.includes('-musl') === musl
}
