<?php
declare(strict_types=1);

namespace Coolify\Coold;

use Coolify\Coold\Exception\CooldException;
use Generator;
use IteratorAggregate;
use JsonException;

/**
 * Output as it is written, and the input of a program. It begins when it is iterated, once; leaving the loop hangs up, which
 * ends the program.
 *
 *     $exec = $host->containersExecStream(id: 'web', cmd: ['cat']);
 *     $exec->write("hello\n")->end();
 *     foreach ($exec as $output) { echo $output->data; }
 *     $exec->exitCode();
 *
 * @implements IteratorAggregate<int, Output>
 */
final class OutputStream implements IteratorAggregate
{
    /** Of one call that brings input; more waits for the next. */
    private const CHUNK = 48 * 1024;

    /** @var list<array<string, mixed>> lines of input that are still to be sent */
    private array $input = [];
    /** @var \Iterator<mixed, string>|null */
    private ?\Iterator $fed = null;
    private bool $isEnding = false;
    private ?int $exitCode = null;
    private ?float $silentSeconds = null;

    /** @param array{host_id: string, request_id: string, command: array<string, mixed>} $body */
    public function __construct(
        private readonly Client $client,
        private readonly array $body,
        private readonly bool $worksAnew,
    ) {
    }

    /** Gives bytes to the program's standard input; they leave while the output is iterated. */
    public function write(string $bytes): self
    {
        foreach (str_split($bytes, self::CHUNK) as $chunk) {
            if ($chunk === '') {
                continue;
            }
            $this->input[] = preg_match('//u', $chunk) === 1
                ? ['stdin' => $chunk]
                : ['stdin' => base64_encode($chunk), 'encoding' => 'base64'];
        }
        return $this;
    }

    /**
     * Gives all that an iterable yields to the standard input, then its end. It is asked for more only when the program has
     * taken what came before, so that a file of any size is no matter of memory.
     *
     * @param iterable<string> $chunks
     */
    public function feed(iterable $chunks): self
    {
        $this->fed = (static function () use ($chunks): Generator {
            yield from $chunks;
        })();
        return $this;
    }

    /** Tells the new size of the program's terminal. */
    public function resize(int $cols, int $rows): self
    {
        $this->input[] = ['resize' => ['cols' => $cols, 'rows' => $rows]];
        return $this;
    }

    /** Ends the standard input. */
    public function end(): self
    {
        $this->isEnding = true;
        return $this;
    }

    /** Gives up when nothing was written for so long. */
    public function silentFor(float $seconds): self
    {
        $this->silentSeconds = $seconds;
        return $this;
    }

    /** How the program ended; null: it has not, or none was run. */
    public function exitCode(): ?int
    {
        return $this->exitCode;
    }

    /**
     * @return Generator<int, Output>
     * @throws CooldException
     * @throws Exception\Disconnected
     * @throws Exception\Silent
     */
    public function getIterator(): Generator
    {
        $stream = LineStream::open($this->client, $this->body, $this->worksAnew);
        $bring = function () use ($stream): void {
            $this->bring($stream);
        };
        foreach ($stream->lines($this->silentSeconds, $bring) as $line) {
            if (isset($line['exit_code'])) {
                $this->exitCode = (int) $line['exit_code'];
            } elseif (isset($line['stream'])) {
                $data = (string) $line['data'];
                yield new Output($line['stream'], isset($line['encoding']) ? (string) base64_decode($data, true) : $data);
            }
        }
    }

    /** All that is written, both streams as they come. */
    public function text(): string
    {
        $text = '';
        foreach ($this as $output) {
            $text .= $output->data;
        }
        return $text;
    }

    /** Sends what there is of input, a call at a time. */
    private function bring(LineStream $stream): void
    {
        $answer = $stream->lines->posted();
        if ($answer !== null && $answer->status >= 300) {
            $refused = CooldException::of(($answer->json() ?? []) + ['code' => $answer->status], false);
            // Its end is told by the stream itself: a program may end without reading all of its input.
            if (!in_array($refused->reason, ['request_id_unknown', 'session_not_found', 'input_not_taken'], true)) {
                throw $refused;
            }
            [$this->input, $this->fed, $this->isEnding] = [[], null, false];
        }
        if ($stream->lines->isPosting()) {
            return;
        }
        if ($this->input === [] && $this->fed !== null) {
            if ($this->fed->valid()) {
                $this->write((string) $this->fed->current());
                $this->fed->next();
            } else {
                [$this->fed, $this->isEnding] = [null, true];
            }
        }
        $lines = '';
        while ($this->input !== [] && strlen($lines) < self::CHUNK) {
            $lines .= self::line(array_shift($this->input));
        }
        if ($this->input === [] && $this->fed === null && $this->isEnding) {
            $lines .= self::line(['eof' => true]);
            $this->isEnding = false;
        }
        if ($lines !== '') {
            $stream->lines->post("/v1/coold/stream/{$stream->requestId}/input", $lines);
        }
    }

    /**
     * @param array<string, mixed> $value
     * @throws JsonException
     */
    private static function line(array $value): string
    {
        return json_encode($value, JSON_THROW_ON_ERROR | JSON_UNESCAPED_SLASHES) . "\n";
    }
}
