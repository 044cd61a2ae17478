<?php
declare(strict_types=1);

namespace Coolify\Coold\Laravel;

use Coolify\Coold\Client;
use Coolify\Coold\Http\CurlTransport;
use Coolify\Coold\Retries;
use Illuminate\Support\ServiceProvider;

/** Gives Laravel one client for each process, by config/coold.php. */
final class CooldServiceProvider extends ServiceProvider
{
    public function register(): void
    {
        $this->mergeConfigFrom(dirname(__DIR__, 2) . '/config/coold.php', 'coold');
        $this->app->singleton(Client::class, static function ($app): Client {
            $config = $app->make('config');
            return new Client(
                new CurlTransport(
                    (string) $config->get('coold.socket'),
                    (float) $config->get('coold.connect_seconds'),
                ),
                new Retries(
                    attempts: (int) $config->get('coold.retries.attempts'),
                    totalSeconds: (float) $config->get('coold.retries.total_seconds'),
                ),
                (float) $config->get('coold.dispatch_seconds'),
            );
        });
    }

    public function boot(): void
    {
        if ($this->app->runningInConsole()) {
            $this->publishes([dirname(__DIR__, 2) . '/config/coold.php' => $this->app->configPath('coold.php')], 'coold-config');
        }
    }
}
