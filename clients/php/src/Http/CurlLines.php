<?php
declare(strict_types=1);

namespace Coolify\Coold\Http;

use Closure;
use Coolify\Coold\Exception\Silent;
use CurlHandle;
use CurlMultiHandle;

/**
 * Lines by curl's multi interface: output and input go on side by side in one process, and nothing blocks for longer than its
 * timeout. A reader that does not read holds up its own stream alone: no more than a few chunks are taken from the socket
 * between two calls of `next`.
 */
final class CurlLines implements Lines
{
    /** Between two looks at the transfers, in seconds: curl has times of its own to keep. */
    private const LOOK = 1.0;

    private CurlMultiHandle $multi;
    private ?CurlHandle $answer;
    private ?CurlHandle $posting = null;
    private string $buffer = '';
    private string $postedBody = '';
    private ?Answer $postedAnswer = null;
    private bool $isOver = false;
    private int $error = CURLE_OK;
    private string $errorWords = '';
    private int $status = 0;

    /**
     * @param array<int, mixed> $options of the request
     * @param Closure(string, string): array<int, mixed> $inputOptions of a call that brings lines to a path
     */
    public function __construct(array $options, private readonly Closure $inputOptions)
    {
        $this->multi = curl_multi_init();
        $this->answer = curl_init();
        $buffer = &$this->buffer;
        // Static, and without $this: a cycle would keep the connection until the collector runs.
        $options[CURLOPT_WRITEFUNCTION] = static function (CurlHandle $curl, string $data) use (&$buffer): int {
            $buffer .= $data;
            return strlen($data);
        };
        curl_setopt_array($this->answer, $options);
        curl_multi_add_handle($this->multi, $this->answer);
    }

    public function __destruct()
    {
        $this->close();
    }

    public function next(?float $timeoutSeconds): ?string
    {
        $until = $timeoutSeconds === null ? null : microtime(true) + $timeoutSeconds;
        while (true) {
            $line = $this->takeLine();
            if ($line !== null) {
                return $line;
            }
            if ($this->isOver) {
                if ($this->error !== CURLE_OK) {
                    throw CurlTransport::failure($this->error, $this->errorWords);
                }
                $last = $this->buffer;
                $this->buffer = '';
                return $last === '' ? null : $last;
            }
            // What can be done at once is done before anything is waited for.
            $this->perform();
            if (str_contains($this->buffer, "\n") || $this->isOver || $this->postedAnswer !== null) {
                if ($this->postedAnswer !== null && !str_contains($this->buffer, "\n")) {
                    // Somebody has to look at it: the caller may have more to send.
                    return '';
                }
                continue;
            }
            $left = $until === null ? self::LOOK : $until - microtime(true);
            if ($left <= 0) {
                throw new Silent('nothing came for ' . round((float) $timeoutSeconds, 1) . ' s');
            }
            $this->wait(min($left, self::LOOK));
        }
    }

    public function status(): int
    {
        return $this->answer === null ? $this->status : (int) curl_getinfo($this->answer, CURLINFO_RESPONSE_CODE);
    }

    public function isPosting(): bool
    {
        return $this->posting !== null;
    }

    public function post(string $path, string $lines): void
    {
        $this->posting = curl_init();
        $this->postedBody = '';
        $body = &$this->postedBody;
        curl_setopt_array($this->posting, [
            CURLOPT_WRITEFUNCTION => static function (CurlHandle $curl, string $data) use (&$body): int {
                $body .= $data;
                return strlen($data);
            },
        ] + ($this->inputOptions)($path, $lines));
        curl_multi_add_handle($this->multi, $this->posting);
    }

    public function posted(): ?Answer
    {
        $answer = $this->postedAnswer;
        $this->postedAnswer = null;
        return $answer;
    }

    public function close(): void
    {
        foreach ([$this->posting, $this->answer] as $curl) {
            if ($curl !== null) {
                curl_multi_remove_handle($this->multi, $curl);
            }
        }
        $this->posting = null;
        if ($this->answer !== null) {
            $this->status = $this->status();
            $this->answer = null;
        }
        $this->isOver = true;
    }

    private function takeLine(): ?string
    {
        $end = strpos($this->buffer, "\n");
        if ($end === false) {
            return null;
        }
        $line = substr($this->buffer, 0, $end);
        $this->buffer = substr($this->buffer, $end + 1);
        return $line;
    }

    private function perform(): void
    {
        do {
            $result = curl_multi_exec($this->multi, $running);
        } while ($result === CURLM_CALL_MULTI_PERFORM);
        while (($ended = curl_multi_info_read($this->multi)) !== false) {
            $curl = $ended['handle'];
            $words = curl_error($curl);
            $status = (int) curl_getinfo($curl, CURLINFO_RESPONSE_CODE);
            curl_multi_remove_handle($this->multi, $curl);
            if ($curl === $this->posting) {
                $this->posting = null;
                // An input call that broke off says nothing of its own: the stream tells why.
                $this->postedAnswer = new Answer($ended['result'] === CURLE_OK ? $status : 0, $this->postedBody);
            } else {
                [$this->isOver, $this->error, $this->errorWords] = [true, $ended['result'], $words];
                [$this->status, $this->answer] = [$status, null];
            }
        }
    }

    private function wait(float $seconds): void
    {
        // -1: curl has nothing to wait for at this moment, such as while it connects.
        if (curl_multi_select($this->multi, $seconds) === -1) {
            usleep(2000);
        }
    }
}
