import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { type Candidate, candidates } from '../servers.ts'
import { probeFile } from './probe-client.ts'

const root = join(import.meta.dirname, '..', '..')
const cache = join(root, 'bench', '.cache')

/** The last commit before streams took turns: what the ratios are to. */
export const before = '9ba2a07'

const ogxVersion = '1.5.0'

/** One of the bench's servers, with the probe in its process; `main`: of another version of Corral. */
function probed(of: string, name: string, over: Partial<Candidate> & { main?: string } = {}): Candidate {
  const candidate = candidates.find((one) => one.name === of)
  if (!candidate) throw new Error(`There is no '${of}' in the bench.`)
  const { main, ...others } = over
  return {
    ...candidate,
    name,
    command(port, upstream) {
      const [program = '', script = '', ...words] = candidate.command(port, upstream)
      return [program, '--preload', join(import.meta.dirname, 'probe.ts'), main ?? script, ...words]
    },
    env: (port, upstream) => ({ ...candidate.env?.(port, upstream), FAIRNESS_PROBE: probeFile(name) }),
    ...others,
  }
}

/** A copy of an earlier commit without its tests, beside the packages of this one. */
function installBefore(): string {
  const folder = join(cache, 'before')
  if (!existsSync(join(folder, 'package.json'))) {
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    const archive = execFileSync('git', ['archive', before, 'src', 'package.json'], { cwd: root, maxBuffer: 2 ** 28 })
    execFileSync('tar', ['-x', '-C', folder, '--exclude=*.test.ts'], { input: archive })
    symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  }
  return before
}

/** Python 3.12 or later: `$BENCH_PYTHON`, on the path, or of pyenv. */
function findPython(): string {
  const versions = join(process.env['PYENV_ROOT'] ?? join(homedir(), '.pyenv'), 'versions')
  const ofPyenv = existsSync(versions) ? readdirSync(versions).map((version) => join(versions, version, 'bin', 'python')) : []
  for (const python of [process.env['BENCH_PYTHON'] ?? 'python3', 'python3.12', 'python3.13', ...ofPyenv]) {
    try {
      execFileSync(python, ['-c', 'import sys; sys.exit(sys.version_info < (3, 12))'], { stdio: 'ignore' })
      return python
    } catch {
      // Not there, or too old: the next one.
    }
  }
  throw new Error('it needs Python 3.12 or later, which is not here; name one in BENCH_PYTHON')
}

function installOgx(): string {
  const folder = join(cache, 'ogx')
  if (!existsSync(join(folder, 'bin', 'ogx'))) {
    rmSync(folder, { recursive: true, force: true })
    execFileSync(findPython(), ['-m', 'venv', folder], { stdio: 'ignore' })
    execFileSync(join(folder, 'bin', 'pip'), ['install', '--quiet', `ogx==${ogxVersion}`], { stdio: ['ignore', 'ignore', 'pipe'] })
  }
  return ogxVersion
}

const ogx: Candidate = {
  name: 'ogx',
  about: `OGX ${ogxVersion} from PyPI; one request at a time`,
  install: installOgx,
  command(port, upstream) {
    const folder = join(cache, 'ogx-home')
    rmSync(folder, { recursive: true, force: true })
    mkdirSync(folder, { recursive: true })
    const file = join(folder, 'run.yaml')
    const inference = [
      { provider_id: 'bench', provider_type: 'remote::openai', config: { base_url: `${upstream}/v1`, api_key: 'sk-upstream' } },
    ]
    const backends = {
      kv_default: { type: 'kv_sqlite', db_path: join(folder, 'kv.db') },
      sql_default: { type: 'sql_sqlite', db_path: join(folder, 'sql.db') },
    }
    const stores = {
      metadata: { namespace: 'registry', backend: 'kv_default' },
      inference: { table_name: 'inference_store', backend: 'sql_default' },
      conversations: { table_name: 'conversations', backend: 'sql_default' },
      prompts: { namespace: 'prompts', backend: 'kv_default' },
    }
    // JSON is YAML.
    writeFileSync(
      file,
      JSON.stringify({
        version: 2,
        distro_name: 'bench',
        apis: ['inference'],
        providers: { inference },
        storage: { backends, stores },
        server: { port },
      }),
    )
    const program = [join(cache, 'ogx', 'bin', 'python'), join(import.meta.dirname, 'probe.py')]
    return [...program, 'run', file, '--port', String(port), '--insecure']
  },
  env: () => ({ HOME: join(cache, 'ogx-home'), FAIRNESS_PROBE: probeFile('ogx') }),
  health: '/v1/health',
  model: 'bench/bench-model',
}

export const probedServers: readonly Candidate[] = [
  probed('corral', 'corral'),
  probed('corral', `corral ${before}`, {
    about: `Corral at ${before}, before streams took turns`,
    install: installBefore,
    main: join(cache, 'before', 'src', 'main.ts'),
  }),
  probed('bare relay', 'bare relay'),
  ogx,
]
