import { growthOf } from './ambiguous-regex.ts'
import { isBounded } from './bounded-regex.ts'
import { regexLiterals } from './source-parts.ts'
import { codeOnly, withoutComments, type SourceFile } from './source.ts'

/** A rule of the house that a file can break. */
interface Rule {
  readonly name: string
  /** Why it is there; shown with every offender. */
  readonly reason: string
  /** What in a shipped file breaks it. */
  find(file: SourceFile): readonly string[]
  /** Files that break it, as `path` → text: the rule must find every one. */
  readonly planted: readonly (readonly [path: string, text: string])[]
  /** Files that look like it and are right. */
  readonly innocent?: readonly (readonly [path: string, text: string])[]
}

const within =
  (...folders: string[]) =>
  ({ path }: SourceFile): boolean =>
    folders.some((folder) => path.startsWith(folder))

/** Everything in the code of a file, strings emptied, that matches. */
const inCode = ({ text }: SourceFile, pattern: RegExp): string[] => [...codeOnly(text).matchAll(pattern)].map(([found]) => found.trim())

const importsOf = ({ imports }: SourceFile, pattern: RegExp): string[] =>
  imports.filter(({ target, typeOnly }) => !typeOnly && pattern.test(target)).map(({ target }) => `import of ${target}`)

/** A new API key is shown to whoever made it, once. */
const shownOnce = within('src/api/keys/', 'src/cli/keys')

/** These have something of their own that is called `fetch`. */
const ownFetch = within('src/runtime/child.ts', 'src/providers/inference/llama-cpp/')

/** How SQL begins. */
const statement =
  '(?:select\\s|insert\\s+into|update\\s+\\S+\\s+set|delete\\s+from|replace\\s+into|with\\s+\\S+\\s+as|(?:create|drop|alter)\\s+(?:table|index|unique|schema|role|user|database|view|trigger)|truncate\\s|pragma\\s|attach\\s|listen\\s|notify\\s|vacuum\\s|grant\\s|copy\\s)'

/** Names that only OpenAI's wire format has, as strings and as members. */
const wireField =
  /['"`](?:finish_reason|tool_calls|stream_options|max_tokens|max_completion_tokens|\/(?:chat\/)?completions|\/embeddings)['"`]/g
const wireMember = /\b(?:finish_reason|tool_calls|stream_options|max_tokens|max_completion_tokens)\b/g

export const rules: readonly Rule[] = [
  {
    name: 'every outgoing request goes through src/egress: no fetch, socket, resolver or HTTP client anywhere else',
    reason:
      'one place judges where callers may send this server, pins addresses, and keeps operators’ keys with operators’ hosts (field §2.1: the checks that were bypassed stood in one of two places). PostgreSQL’s client in src/storage and Redis’ in src/runtime/redis.ts are the exceptions, and src/telemetry/worker/otlp-sender.ts, which knows no caller: it sends to the operator’s collector, in a thread of its own.',
    find(file) {
      if (within('src/egress/', 'src/telemetry/worker/otlp-sender.ts')(file)) return []
      return [
        ...(ownFetch(file)
          ? inCode(file, /\bglobalThis\.fetch\b/g)
          : inCode(file, /(?<![\w.#$]|function )fetch\b(?=\s*(?:\(|[,;)\]}]|\.(?:bind|call|apply)\b|$))(?!\(request)/gm)),
        ...inCode(file, /\bglobalThis(?:\.fetch|\[)|\bnew (?:WebSocket|EventSource|XMLHttpRequest)\b|\bnavigator\.sendBeacon\b/g),
        ...inCode(file, /\bBun\.(?:fetch|connect|udpSocket|dns|sql|SQL|postgres|redis|s3|S3Client)\b/g),
        ...(file.path === 'src/runtime/redis.ts' ? [] : inCode(file, /\bRedisClient\b/g)),
        ...importsOf(
          file,
          /^(?:node:)?(?:https?|net|tls|http2|dgram|dns|dns\/promises)$|^(?:undici|ws|axios|got|ky|node-fetch|ioredis|redis)$/,
        ),
        ...(within('src/storage/')(file) ? [] : importsOf(file, /^pg(?:-|$)/)),
        ...inCode(file, /\bcreateRemoteJWKSet\b/g),
        ...(importsOf(file, /^oauth4webapi$/).length > 0 && !file.text.includes('[customFetch]')
          ? ['oauth4webapi without [customFetch]']
          : []),
      ]
    },
    planted: [
      ['src/api/a.ts', 'const answer = await fetch(url)'],
      ['src/api/a.ts', 'const send = fetch\n'],
      ['src/api/a.ts', 'use(fetch)'],
      ['src/api/a.ts', 'use(url, fetch, 1)'],
      ['src/api/a.ts', 'const send = fetch.bind(undefined)'],
      ['src/api/a.ts', 'return globalThis.fetch(url)'],
      ['src/api/a.ts', "const send = globalThis['fetch']"],
      ['src/providers/inference/llama-cpp/a.ts', 'await globalThis.fetch(url)'],
      ['src/api/a.ts', 'const socket = new WebSocket(url)'],
      ['src/runtime/a.ts', 'Bun.connect({ hostname })'],
      ['src/runtime/a.ts', 'const client = new RedisClient(url)'],
      ['src/api/a.ts', "import { connect } from 'node:net'"],
      ['src/api/a.ts', "import { lookup } from 'node:dns/promises'"],
      ['src/api/a.ts', "const { request } = await import('node:https')"],
      ['src/api/a.ts', "import { fetch as go } from 'undici'"],
      ['src/quota/a.ts', "import { Pool } from 'pg'"],
      ['src/auth/a.ts', "import { createRemoteJWKSet } from 'jose'\nconst keys = createRemoteJWKSet(url)"],
      ['src/auth/a.ts', "import { introspectionRequest } from 'oauth4webapi'\nawait introspectionRequest(a, b, c)"],
    ],
    innocent: [
      ['src/egress/a.ts', 'await fetch(url)'],
      ['src/storage/a.ts', "import { Pool } from 'pg'"],
      ['src/runtime/redis.ts', 'new RedisClient(url)'],
      ['src/app.ts', 'const answer = app.fetch(request)\nreturn { fetch: (request) => handle(request) }'],
      ['src/auth/a.ts', 'this.#fetch()'],
      ['src/auth/a.ts', "import { introspectionRequest, customFetch } from 'oauth4webapi'\nconst options = { [customFetch]: send }"],
    ],
  },
  {
    name: 'prepared statements only',
    reason:
      'values go to the database as parameters, never as text (field §2.1, CVE-2026-42208: a bearer token concatenated into SQL). Names of schemas, channels and pragmas, which cannot be parameters, are escaped in the files excepted by name.',
    find(file) {
      const code = withoutComments(file.text)
      const excepted = within('src/storage/postgres.ts', 'src/storage/postgres-listen.ts', 'src/runtime/sqlite.ts')(file)
      const spliced = new RegExp(String.raw`(?<!sql|sql<[\w\s<>{}:;,'|[\]]*>)\x60\s*${statement}[^\x60]*\$\{`, 'gi')
      const joined = new RegExp(
        String.raw`['\x60]\s*${statement}[^'\x60]*['\x60]\s*\+|\+\s*['\x60]\s*(?:where|values|from|order by|limit)\s`,
        'gi',
      )
      return [
        ...inCode(file, /\bsql\.raw\b|\bCompiledQuery\.raw\b|\.unsafe\(/g),
        ...inCode(file, /\bsql\.lit\b/g),
        ...(within('src/storage/driver.ts')(file) ? [] : inCode(file, /\bexecuteQuery\(/g)),
        ...(excepted ? [] : [...code.matchAll(spliced), ...code.matchAll(joined)].map(([found]) => found.trim())),
      ]
    },
    planted: [
      ['src/auth/a.ts', 'await sql.raw(`select 1 where token = ${token}`).execute(db)'],
      ['src/auth/a.ts', "sql`select ${sql.lit('x')}`"],
      ['src/auth/a.ts', 'db.executeQuery(CompiledQuery.raw(text))'],
      ['src/auth/a.ts', 'db.unsafe(text)'],
      ['src/auth/a.ts', "database.query(`SELECT * FROM api_keys WHERE token = '${token}'`).all()"],
      ['src/auth/a.ts', "client.query('select * from api_keys where token = ' + token)"],
      ['src/auth/a.ts', "const text = base + ' where owner = ' + owner"],
      ['src/runtime/redis.ts', 'client.query(`\n  insert into a values (${value})`)'],
    ],
    innocent: [
      ['src/auth/a.ts', 'await sql`select pg_notify(${channel}, ${scope})`.execute(db)'],
      ['src/auth/a.ts', 'await sql<{ n: number }>`select count(*) as n from a where b = ${b}`.execute(db)'],
      ['src/auth/a.ts', "await sql<Record<'a' | 'b', number>>`select ${a} as a from a where b = ${b}`.execute(db)"],
      ['src/storage/a.ts', "await client.query('select 1 from a where b = $1', [b])"],
      ['src/cli/a.ts', 'const text = `Set ${name} to ${value}`'],
      ['src/runtime/sqlite.ts', 'database.run(`PRAGMA busy_timeout = ${Math.trunc(time)}`)'],
    ],
  },
  {
    name: 'secrets are revealed where they are used, and nowhere else',
    reason:
      'a Secret prints as ***; `.reveal()` is the one way to its value, and must stay where a header, a hash or a password is made of it (field §1.53: keys in logs, audit rows and error texts).',
    find: (file) =>
      within(
        'src/secret.ts',
        'src/egress/',
        'src/providers/',
        'src/auth/',
        'src/telemetry/traces/create-tracing.ts',
        'src/storage/',
        'src/runtime/redis.ts',
        'src/quota/stores/',
        'src/config/redact.ts',
        'src/config/schema-auth.ts',
      )(file) || shownOnce(file)
        ? []
        : inCode(file, /\.reveal\b/g),
    planted: [
      ['src/telemetry/a.ts', 'log.info({ key: key.reveal() })'],
      ['src/api/a.ts', 'const { reveal } = key\nkey.reveal?.()'],
      ['src/http/a.ts', 'return Response.json(secrets.map((one) => one.reveal()))'],
      ['src/cli/a.ts', 'print(config.key.reveal())'],
    ],
    innocent: [['src/auth/a.ts', 'hash(pepper.reveal())']],
  },
  {
    name: 'no caller can name a command to run',
    reason:
      'processes are started by src/runtime alone, from what the operator configured (field §2.1, CVE-2026-42271: command and arguments out of a request’s body), and nothing that is sent is ever run as code or restored as objects.',
    find: (file) => [
      ...(within('src/runtime/')(file)
        ? []
        : [
            ...importsOf(file, /^(?:node:)?(?:child_process|worker_threads|cluster)$/),
            ...inCode(file, /\bBun\.(?:spawn|spawnSync|\$)|\bnew Worker\b/g),
          ]),
      ...(within(
        'src/runtime/',
        'src/workers.ts',
        'src/supervisor.ts',
        'src/providers/contract.ts',
        'src/providers/child-contract.ts',
        'src/storage/',
        'src/telemetry/',
      )(file)
        ? []
        : importsOf(file, /^src\/runtime\/(?:child|worker-process|sqlite-worker|sqlite-thread|thread)\.ts$/)),
      // What they export is for providers in packages of their own.
      ...(within('src/providers/inference/llama-cpp/')(file) ? [] : importsOf(file, /^src\/providers\/(?:child-)?contract\.ts$/)),
      ...importsOf(file, /^(?:node:)?(?:vm|v8|repl|inspector)$/),
      ...inCode(file, /(?<![\w.])eval\(|\bnew Function\(|(?:await |= |=> |return |\()import\((?!'')/g).filter(
        // A provider of a third party, which the operator's file names.
        () => !within('src/providers/load-definition.ts')(file),
      ),
    ],
    planted: [
      ['src/api/a.ts', "import { spawn } from 'node:child_process'"],
      ['src/api/a.ts', "const { exec } = await import('child_process')"],
      ['src/providers/a.ts', 'Bun.spawn([body.command])'],
      ['src/providers/a.ts', "import { startChild } from './contract.ts'"],
      ['src/api/a.ts', 'eval(body.code)'],
      ['src/api/a.ts', "new Function('a', body.code)"],
      ['src/api/a.ts', "import { deserialize } from 'node:v8'"],
      ['src/api/a.ts', 'await import(body.module)'],
    ],
    innocent: [
      ['src/runtime/child.ts', 'Bun.spawn([process.execPath, script])'],
      ['src/api/a.ts', "const { a } = await import('./a.ts')"],
    ],
  },
  {
    name: 'regular expressions take time in proportion to the text',
    reason:
      'callers choose the texts, and a backtracking engine takes exponential or quadratic time for some (field §2.1, ReDoS). Anchor it, bound its repeats, or make its loops read different characters; where the text is short or the operator’s own, list it in test/architecture/bounded-regex.ts.',
    find: ({ path, text }) =>
      regexLiterals(text)
        .filter((literal) => growthOf(literal) !== 'linear')
        .filter((literal) => !isBounded(path, literal))
        .map((literal) => `${growthOf(literal)}: /${literal.source}/${literal.flags}`),
    planted: [
      ['src/http/a.ts', 'const token = /^(\\w+\\s?)*$/.test(header)'],
      ['src/http/a.ts', 'const list = header.match(/(?:a|a)*b/)'],
      ['src/http/a.ts', "if (true) text.replace(/\\s+$/, '')"],
      ['src/http/a.ts', 'return /^\\s*\\S*\\s*$/.exec(header)'],
    ],
    innocent: [
      ['src/http/a.ts', 'const half = total / 2 / (a + 1)\nreturn /^[a-z]+-[0-9]+$/.test(text)'],
      ['src/http/a.ts', "const text = 'a/(a+)+$/b' // /(a+)+$/"],
    ],
  },
  {
    name: 'one place calls models',
    reason: 'design §3.5: limits, traces and retries surround every call of a model only because src/inference/attempt.ts makes it.',
    find: (file) =>
      within('src/providers/', 'src/testing/', 'src/inference/attempt.ts', 'src/registry/models.ts')(file)
        ? []
        : inCode(file, /\.invoke\b/g),
    planted: [['src/api/chat/routes.ts', 'return provider.invoke.chat(request, call)']],
    innocent: [['src/inference/attempt.ts', 'const invoke = this.target.invoke']],
  },
  {
    name: 'http and telemetry know no wire format',
    reason: 'design §4: fields of requests and replies are read by src/operations/ alone, so that another dialect changes nothing here.',
    find: (file) =>
      within('src/http/', 'src/telemetry/')(file)
        ? [...withoutComments(file.text).matchAll(wireField), ...codeOnly(file.text).matchAll(wireMember)].map(([found]) => found)
        : [],
    planted: [
      ['src/telemetry/traces/a.ts', "const { choices } = body as { choices?: unknown }\nreturn fields['finish_reason']"],
      ['src/http/a.ts', "if (path.endsWith('/chat/completions')) return"],
      ['src/http/a.ts', 'const limit = body.max_tokens'],
    ],
    innocent: [
      ['src/telemetry/traces/a.ts', "['maxTokens', 'gen_ai.request.max_tokens']"],
      ['src/operations/openai/a.ts', 'const { tool_calls } = message'],
    ],
  },
]
