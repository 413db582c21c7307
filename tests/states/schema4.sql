BEGIN TRANSACTION;
CREATE TABLE commands (
	number INTEGER NOT NULL, 
	verb VARCHAR(16) NOT NULL, 
	job_id VARCHAR(16), 
	argument TEXT, 
	at BIGINT NOT NULL, 
	PRIMARY KEY (number)
);
CREATE TABLE history (
	number INTEGER NOT NULL, 
	job_id VARCHAR(16) NOT NULL, 
	at BIGINT NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	PRIMARY KEY (number)
);
INSERT INTO "history" VALUES(1,'aaaaaaaa',1790000000000,'ready','');
INSERT INTO "history" VALUES(2,'bbbbbbbb',1790000000000,'ready','');
INSERT INTO "history" VALUES(3,'cccccccc',1790000000000,'ready','');
INSERT INTO "history" VALUES(4,'dddddddd',1790000000000,'ready','');
INSERT INTO "history" VALUES(5,'aaaaaaaa',1790000000000,'held','timed out, and no list of videos can be had: HTTP 500 (tried 2 times). It may have been charged ($0.80).');
INSERT INTO "history" VALUES(6,'bbbbbbbb',1790000000000,'held','timed out, and the server cannot say whether it arrived: HTTP 404. It may have been charged ($0.80).');
INSERT INTO "history" VALUES(7,'cccccccc',1790000000000,'held','HTTP 502 (tried 2 times)');
INSERT INTO "history" VALUES(8,'dddddddd',1790000000000,'rendering','');
CREATE TABLE jobs (
	id VARCHAR(16) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	folder BLOB NOT NULL, 
	image BLOB NOT NULL, 
	image_size BIGINT NOT NULL, 
	image_mtime_ns BIGINT NOT NULL, 
	sidecar BLOB, 
	sidecar_size BIGINT, 
	sidecar_mtime_ns BIGINT, 
	created_at BIGINT NOT NULL, 
	changed_at BIGINT NOT NULL, 
	due_at BIGINT NOT NULL, 
	prompt TEXT, 
	model TEXT, 
	size VARCHAR(32), 
	seconds INTEGER, 
	fit VARCHAR(16), 
	focus VARCHAR(64), 
	priority INTEGER NOT NULL, 
	take INTEGER DEFAULT '1' NOT NULL, 
	order_key VARCHAR(64), 
	reference_key VARCHAR(64), 
	likeness VARCHAR(64), 
	attempts INTEGER NOT NULL, 
	reason TEXT NOT NULL, 
	mend TEXT NOT NULL, 
	obstacle TEXT DEFAULT '' NOT NULL, 
	digest VARCHAR(64) NOT NULL, 
	reference_digest VARCHAR(64) DEFAULT '' NOT NULL, 
	note TEXT NOT NULL, 
	price BIGINT, 
	token VARCHAR(64), 
	submitted_at BIGINT, 
	lost_at BIGINT, 
	misses INTEGER NOT NULL, 
	losses INTEGER DEFAULT '0' NOT NULL, 
	reorders INTEGER DEFAULT '0' NOT NULL, 
	lost_reason TEXT DEFAULT '' NOT NULL, 
	witness_until BIGINT, 
	video_id TEXT, 
	progress INTEGER, 
	generations INTEGER NOT NULL, 
	charged VARCHAR(8) NOT NULL, 
	clip BLOB, 
	filed BLOB NOT NULL, 
	lease_owner VARCHAR(128), 
	lease_until BIGINT, 
	PRIMARY KEY (id)
);
INSERT INTO "jobs" VALUES('aaaaaaaa','held',X'',X'612E6A7067',1000,5,X'612E79616D6C',20,6,1789999100000,1789999300000,1789999300000,'waves a','sora-2','1280x720',8,'crop','centre',0,1,'22f4ee32548faf8eb6a20b49a989388dc13576d204cc9055f7f9b80dcf729a83',NULL,'4642a46b752b1eefd28368429c4860e92475ff1efbaeac8b5fb5ea9ad4cd3ee4',2,'timed out, and no list of videos can be had: HTTP 500 (tried 2 times). It may have been charged ($0.80).','If the server''s own site shows the video: `sorawatch adopt aaaaaaaa VIDEO_ID`. Once it can be had, `sorawatch retry aaaaaaaa` looks again. `sorawatch cancel aaaaaaaa` gives it up.','','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','','',800000,'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1789999200000,1789999210000,0,0,0,'timed out',NULL,NULL,NULL,0,'perhaps',NULL,X'',NULL,NULL);
INSERT INTO "jobs" VALUES('bbbbbbbb','held',X'',X'622E6A7067',1000,5,X'622E79616D6C',20,6,1789999100000,1789999300000,1789999300000,'waves b','sora-2','1280x720',8,'crop','centre',0,1,'c51cda2a04a2d2a557ee5a56ef43f04eb8812ecc0781b03df77e731f38c04c70',NULL,'ec08f8948c854feab3cbced32c2ef7d44c02209bce637a44dbf527a499d77a2d',0,'timed out, and the server cannot say whether it arrived: HTTP 404. It may have been charged ($0.80).','If the server''s own site shows the video: `sorawatch adopt bbbbbbbb VIDEO_ID`. If it does not: `sorawatch retry bbbbbbbb` orders it again. `sorawatch cancel bbbbbbbb` gives it up.','','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','','',800000,'bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',1789999200000,1789999210000,0,0,0,'timed out',NULL,NULL,NULL,0,'perhaps',NULL,X'',NULL,NULL);
INSERT INTO "jobs" VALUES('cccccccc','held',X'',X'632E6A7067',1000,5,X'632E79616D6C',20,6,1789999100000,1789999400000,1789999400000,'waves c','sora-2','1280x720',8,'crop','centre',0,1,'271294cf4c87659314a228d4a5dafb53675bec692b9b7a47a06811cac1b12409',NULL,'d75982b72fe2ef2c815012285ac2432ac913b048d95477471cc3bb89b6403e48',0,'HTTP 502 (tried 2 times)','`sorawatch retry cccccccc` tries again.','','cccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccccc','','',800000,'cccccccccccccccccccccccccccccccc',1789999200000,NULL,0,0,0,'',NULL,'video_c',100,0,'yes',NULL,X'',NULL,NULL);
INSERT INTO "jobs" VALUES('dddddddd','rendering',X'',X'642E6A7067',1000,5,X'642E79616D6C',20,6,1789999100000,1789999210000,1789999215000,'waves d','sora-2','1280x720',8,'crop','centre',0,1,'ad8342525acde0853776ad64dcace60cb30fc016a2dedb92a21e04951eb04268',NULL,'c04fabdf8d628829c403a8ce5cd8009c1e36fe3833e5260b33a9c2c4ad2bd6f0',0,'','','','dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd','','',800000,'dddddddddddddddddddddddddddddddd',1789999200000,NULL,0,0,0,'',NULL,'video_d',NULL,0,'perhaps',NULL,X'',NULL,NULL);
CREATE TABLE notes (
	"key" VARCHAR(32) NOT NULL, 
	value TEXT NOT NULL, 
	PRIMARY KEY ("key")
);
INSERT INTO "notes" VALUES('schema','4');
CREATE TABLE purchases (
	token VARCHAR(64) NOT NULL, 
	job_id VARCHAR(16) NOT NULL, 
	order_key VARCHAR(64) NOT NULL, 
	likeness VARCHAR(64) NOT NULL, 
	at BIGINT NOT NULL, 
	micros BIGINT, 
	standing VARCHAR(16) NOT NULL, 
	video_id TEXT, 
	folder BLOB, 
	image BLOB, 
	model TEXT, 
	size VARCHAR(32), 
	seconds INTEGER, 
	clip BLOB, 
	take INTEGER DEFAULT '1' NOT NULL, 
	reference_key VARCHAR(64), 
	PRIMARY KEY (token)
);
INSERT INTO "purchases" VALUES('aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa','aaaaaaaa','22f4ee32548faf8eb6a20b49a989388dc13576d204cc9055f7f9b80dcf729a83','4642a46b752b1eefd28368429c4860e92475ff1efbaeac8b5fb5ea9ad4cd3ee4',1790000000000,800000,'open',NULL,X'',X'612E6A7067','sora-2','1280x720',8,NULL,1,NULL);
INSERT INTO "purchases" VALUES('bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb','bbbbbbbb','c51cda2a04a2d2a557ee5a56ef43f04eb8812ecc0781b03df77e731f38c04c70','ec08f8948c854feab3cbced32c2ef7d44c02209bce637a44dbf527a499d77a2d',1790000000000,800000,'open',NULL,X'',X'622E6A7067','sora-2','1280x720',8,NULL,1,NULL);
INSERT INTO "purchases" VALUES('cccccccccccccccccccccccccccccccc','cccccccc','271294cf4c87659314a228d4a5dafb53675bec692b9b7a47a06811cac1b12409','d75982b72fe2ef2c815012285ac2432ac913b048d95477471cc3bb89b6403e48',1790000000000,800000,'open','video_c',X'',X'632E6A7067','sora-2','1280x720',8,NULL,1,NULL);
INSERT INTO "purchases" VALUES('dddddddddddddddddddddddddddddddd','dddddddd','ad8342525acde0853776ad64dcace60cb30fc016a2dedb92a21e04951eb04268','c04fabdf8d628829c403a8ce5cd8009c1e36fe3833e5260b33a9c2c4ad2bd6f0',1790000000000,800000,'open','video_d',X'',X'642E6A7067','sora-2','1280x720',8,NULL,1,NULL);
CREATE INDEX jobs_by_order ON jobs (order_key);
CREATE INDEX jobs_by_reference ON jobs (reference_key);
CREATE INDEX jobs_by_take ON jobs (take);
CREATE INDEX jobs_by_likeness ON jobs (likeness, state);
CREATE INDEX jobs_by_state ON jobs (state, due_at);
CREATE INDEX purchases_by_reference ON purchases (reference_key);
CREATE INDEX purchases_by_order ON purchases (order_key);
CREATE INDEX purchases_by_likeness ON purchases (likeness);
CREATE INDEX purchases_by_time ON purchases (at);
CREATE INDEX purchases_by_video ON purchases (video_id);
CREATE INDEX ix_history_job_id ON history (job_id);
COMMIT;
